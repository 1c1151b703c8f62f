// Runs one scenario, given as JSON on the command line, and prints a line of JSON per report.
import { run } from "./scenarios.js";

await run(JSON.parse(process.argv[2]), (line) => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
});
