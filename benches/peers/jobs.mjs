// Trivial jobs through BullMQ: `node jobs.mjs SOCKET JOBS` enqueues them one by one, works them off with one worker, and
// prints the jobs per second of both together. SOCKET is a Redis server's. BullMQ is looked for in NODE_DIR.

import { createRequire } from 'node:module';

const { Queue, Worker } = createRequire(`${process.env.NODE_DIR}/`)('bullmq');
const [path, jobs] = [process.argv[2], Number(process.argv[3])];
const connection = { path, maxRetriesPerRequest: null };

const queue = new Queue('jobs', { connection, defaultJobOptions: { removeOnComplete: true } });
await queue.waitUntilReady();
const begin = performance.now();
for (let n = 0; n < jobs; n += 1) await queue.add('job', {});

let done = 0;
await new Promise((resolve, reject) => {
  const worker = new Worker('jobs', async () => {}, { connection });
  worker.on('completed', () => {
    done += 1;
    if (done === jobs) resolve();
  });
  worker.on('failed', (_, error) => reject(error));
});
console.log(jobs / ((performance.now() - begin) / 1000));
process.exit(0);
