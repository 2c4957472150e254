/** The API as production runs it; it ends with the benchmark that started it, however that ends. */
import '../../src/server';

process.on('disconnect', () => process.exit(0));
