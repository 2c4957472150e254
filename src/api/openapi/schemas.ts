/** From the schemas that validate to those the contract publishes: JSON Schema 2020-12, which OpenAPI 3.1 is built on. */
import { z } from 'zod';

/** JSON Schema, as it is written. */
export type Schema = Readonly<Record<string, unknown>>;

const noControl = '[^\\u0000-\\u001f\\u007f-\\u009f]';
const prefix = '#/components/schemas/';

/** Schemas as they are published. Those with a name are described once, and referred to wherever they are met. */
export class SchemaShelf {
  readonly #named = new Map<string, Schema>();
  readonly #known = new Map<z.ZodType, Schema>();

  /** What a client has to send, or is sent, for this schema: what it takes in, before anything is trimmed or converted. */
  of(schema: z.ZodType): Schema {
    const known = this.#known.get(schema);
    if (known !== undefined) return known;
    // As a member of something, a named schema is a reference like anywhere else.
    const { properties, $defs = {} } = z.toJSONSchema(z.object({ it: schema }), {
      io: 'input',
      unrepresentable: 'any',
      override: ({ jsonSchema }) => restate(jsonSchema),
    });
    for (const [name, named] of Object.entries($defs)) this.#named.set(name, published(named));
    const made = published(properties?.['it'] ?? {});
    this.#known.set(schema, made);
    return made;
  }

  /** What a reference refers to; the schema itself where it is none. */
  resolved(schema: Schema): Schema {
    const { $ref } = schema;
    if (typeof $ref !== 'string') return schema;
    const found = this.#named.get($ref.slice(prefix.length));
    if (found === undefined) throw new Error(`${$ref} refers to nothing`);
    return found;
  }

  /** The named ones, by name. */
  components(): Record<string, Schema> {
    return Object.fromEntries([...this.#named].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/**
 * What a schema says of itself (`meta({ published })`) counts more than what zod makes of it: a query's number is digits to
 * zod, and a condition of more than one member it cannot write at all.
 */
function restate(schema: Record<string, unknown>): void {
  const said = schema['published'];
  delete schema['published'];
  Object.assign(schema, said);
}

/** As zod writes it, its definitions where OpenAPI keeps them. */
function published(schema: unknown): Schema {
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if (key === '$ref' && typeof value === 'string') return value.replace('#/$defs/', prefix);
    // Written out: hardly a reader of patterns outside of browsers knows classes by their Unicode names.
    if (key === 'pattern' && typeof value === 'string') return value.replaceAll('\\P{Cc}', noControl);
    return value;
  });
  return JSON.parse(text) as Schema;
}
