// Token ids exactly as Python's `tokenizers` has them.

import { discard } from './memory.js';

// @huggingface/tokenizers 0.2.0 puts spaces around Chinese characters of the basic plane only; the
// others must stand alone as well. The ranges are BERT's, above U+FFFF.
const ASTRAL_CHINESE =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/**
 * @typedef {object} HostTokenizer
 * @property {(text: string, special: boolean) => number[]} encode
 * @property {(ids: number[]) => string} decode without special tokens
 *
 * @returns {Promise<(json: Uint8Array<ArrayBuffer>) => HostTokenizer>} opens a `tokenizer.json`, which it keeps
 */
export async function loadTokenizers() {
  const { Tokenizer } = await import('../vendor/tokenizers/tokenizers.min.mjs');
  return (json) => openTokenizer(Tokenizer, json);
}

/**
 * @param {typeof import('@huggingface/tokenizers').Tokenizer} Tokenizer
 * @param {Uint8Array<ArrayBuffer>} json
 * @returns {HostTokenizer}
 */
function openTokenizer(Tokenizer, json) {
  const definition = JSON.parse(new TextDecoder().decode(json));
  discard(json.buffer);
  const tokenizer = new Tokenizer(definition, {});
  // It has tables of its own now, and would keep what they were made from: five megabytes of SmolLM2's.
  definition.model.vocab = {};
  definition.model.merges?.splice(0);
  const spacesChinese =
    definition.normalizer?.type === 'BertNormalizer' && definition.normalizer.handle_chinese_chars;
  return {
    encode(text, special) {
      const spaced = spacesChinese ? text.replace(ASTRAL_CHINESE, ' $& ') : text;
      return tokenizer.encode(spaced, { add_special_tokens: special }).ids;
    },
    decode(ids) {
      return tokenizer.decode(ids, {
        skip_special_tokens: true,
        clean_up_tokenization_spaces: false,
      });
    },
  };
}
