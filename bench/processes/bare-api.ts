/** What ours is measured against: Express, one route, one lean `findOne` by the primary index, nothing else. */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { openBenchStore } from '../stores';

async function main(): Promise<void> {
  const { accounts } = await openBenchStore(process.env['BENCH_MONGODB'] ?? '');
  const app = express();
  app.get('/accounts/:id', async (request, response) => {
    response.json(await accounts.findOne({ _id: request.params.id }).lean());
  });
  const server = app.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
}

process.on('disconnect', () => process.exit(0));
void main();
