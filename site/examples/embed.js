// Copy this into your own page: load a model on a click, embed two sentences, compare them.

import { load } from '../js/pesoleve.js';

const button = /** @type {HTMLButtonElement} */ (document.querySelector('#compare'));
const answer = /** @type {HTMLElement} */ (document.querySelector('#answer'));

button.addEventListener('click', async () => {
  button.disabled = true;
  try {
    const model = await load('minilm-l6', {
      onProgress: ({ phase }) => {
        answer.textContent = `${phase}…`;
      },
    });
    const { vectors } = await model.run(['A man is eating.', 'Someone is having a meal.']);
    const [a, b] = vectors;
    if (a === undefined || b === undefined) throw new Error('two sentences give two vectors');
    const cosine = a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    answer.textContent = `Cosine ${cosine.toFixed(2)}, ${model.stats.bytes.total} bytes, on ${model.stats.device}.`;
    await model.dispose();
  } catch (error) {
    answer.textContent = `Failed: ${error instanceof Error ? error.message : error}`;
  } finally {
    button.disabled = false;
  }
});
