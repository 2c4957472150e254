import type { Model, mongo } from 'mongoose';

/**
 * A model's collection as the driver sees it, typed by its documents. For hot paths and transactions: no casting, no
 * defaults, no change tracking.
 */
export function native<T extends mongo.Document>(model: Model<T>): mongo.Collection<T> {
  return model.collection as unknown as mongo.Collection<T>;
}
