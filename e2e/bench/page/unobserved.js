// Does the task that the server has, and brings it what came of it (e2e/bench/unobserved.py).

const AsyncFunction = (async () => {}).constructor;

async function work() {
  const { body, argument } = await (await fetch('task')).json();
  try {
    return { result: await new AsyncFunction('argument', body)(argument) };
  } catch (error) {
    return { error: String(error?.stack ?? error) };
  }
}

await fetch('answer', { method: 'POST', body: JSON.stringify(await work()) });
