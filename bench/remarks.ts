/** What the numbers do not say of themselves. */
export const remarks = `## How to read it

Every line compares two sides within one run: ours, and the plainest thing that does the same work on the same servers.
The two take turns, and change who goes first, so that whatever else the machine does meets both; one turn of each goes
before, unmeasured. A ratio holds on other machines as well; the absolute numbers in the last column do not.

A comparison is judged by its median. What must never be broken, marked *always*, is judged by the worst value.

| name | ours | the other side |
| --- | --- | --- |
| \`reads\` | \`src/server.ts\` in a process of its own: authentication, validation, representation; 1,000 accounts in turn, 16 connections, autocannon in a third process | Express in a process of its own, one route, one \`findOne\` by \`_id\` with \`lean()\`, nothing else |
| \`erase\` | \`eraseRecords\` on an account of 50,000 records among 500,000, over sixty days; each batch counted in a transaction with the account | four \`deleteMany({ account })\` of another account's records; after each turn a new account takes the place of the one that went |
| \`sweep\` | \`purgeDue\` on an account of 50,000 records among 200,000, over sixty days, counted by day and purged in batches through the deletion gate; then on 1,000 accounts with twenty old records each among 100,000, one transaction with an audit entry each | four \`deleteMany\` of another account's records; then the same 1,000 accounts in a database of their own |
| \`ingest\` | batches of 512 events of 11 kB for twenty accounts, checked, split into four collections, deduplicated, in one transaction each: from parsed items, from a body's text, and posted to the API; everything said in them encrypted | \`insertMany\` of the documents that are stored in the end, into collections with the same indexes; then the same again with a vault that encrypts nothing, its values as long |
| \`export\` | \`writeExport\` of 100,000 records of half a kilobyte in four categories into GridFS: counted, read, opened, compressed, encrypted, stored, read back and verified; and the resident memory of a process that exports 5,000,000 small ones | for the same documents in the clear a native cursor, \`JSON.stringify\` and gzip of the same level, its output thrown away; then the same again with a vault that encrypts nothing |
| \`command\` | suspending and reinstating 60 accounts through the API: the rate with eight at once, the delay one at a time | the same updates to the same workflows by Temporal's client alone |
| \`life\` | events in the history of an account with records that is created, suspended, closed by its deadline and erased by the next, on the server that skips time; and what 46 days add to an account that sleeps | |
| \`sleeping\` | resident memory of a worker process in which 1,000 accounts have gone to sleep, after collecting garbage | the same process when it was 100 |
| \`audit\` | \`recordStep\` by 16 at once, each account's steps one after another, with the entry; then \`verifyLog\` over 100,000 entries with a customer's and a staff part each, by the public key alone and with the keys to both | the same steps, their entries thrown away; for the verification nothing |
| \`vault\` | \`Cipher.seal\` and \`Cipher.open\` on a text of 600 bytes under an account's key, bound to its place | \`node:crypto\` alone: AES-256-GCM with as much authenticated data, a random nonce, one buffer to store; then \`jose\`'s \`CompactEncrypt\`, \`dir\` and \`A256GCM\`, a hundred at once |

\`npm run bench -- NAME…\` runs some of them. On a machine that does other work as well the medians mostly hold; minima,
maxima and batch times do not.

## What is known of misses

- **Sleeping accounts** beyond a hundred leave the worker's cache of workflows (\`maxCachedWorkflows\`) and are read back when
  they wake. By Temporal's default some 2,300 would stay, at about 1.3 MiB each, because each loads a copy of its own of all
  modules the workflow imports; 400 accounts then took 2.6 times the memory of 40. What is left of
  the growth levels off: in one run 100, 500, 1,000, 2,000, 3,000 and 4,000 accounts took 284, 352, 344, 385, 401 and 398 MiB.
  The first hundred accounts are few enough for the heap not to have grown to its working size.
- **A batch of an erasure** aims at 50 ms. Where other programs want all cores at once, a single one can take several times
  as long, as everything else does, and the next ones are made smaller: at a load of eight on two cores, batches of up to
  360 ms were seen.
- **Commands** are bound by processors here: API, worker, Temporal and database share the machine. In a trial a command took
  about 20 ms of processor time in Temporal, 20 ms in the worker, and 8 to 11 ms in an API that had just started, where the
  bare client took 2 ms. Part of the API's share is the health call before each message, which is what lets it say
  \`unavailable\` instead of \`outcome-unknown\` the moment Temporal is gone; remembering its answer for a quarter of a second
  brought the rate to 0.87, and took that away.
`;
