// Runs one scenario in a page: shows the text as it grows, and posts every report with what is visible by then.
import { run, type Task } from "./scenarios.js";

const painted = () => new Promise<void>((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));

async function main(): Promise<void> {
  const task = (await (await fetch("/task")).json()) as Task;
  const place = document.getElementById("answer")!;
  await run(task, async (line) => {
    if (line.kind === "text") place.textContent += line.text as string;
    await painted();
    await fetch("/report", { method: "POST", body: JSON.stringify({ ...line, visible: document.body.innerText }) });
  });
}

void main();
