// Conversations to prompts, by the model's own Jinja template, as transformers renders it.

/**
 * @typedef {{role: string, content: string}} Message
 * @typedef {{chat_template: string, bos_token: string, eos_token: string}} ChatSettings
 *
 * @param {ChatSettings} settings
 * @returns {Promise<(messages: Message[]) => string>} the prompt that asks for the next answer
 */
export async function openChatTemplate({ chat_template, bos_token, eos_token }) {
  const { Template } = await import('../vendor/jinja/jinja.js');
  const template = new Template(chat_template);
  return (messages) =>
    template.render({ messages, add_generation_prompt: true, bos_token, eos_token });
}
