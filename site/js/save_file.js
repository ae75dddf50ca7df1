// Hand the visitor a file that was made in the page.

/** @param {string} name @param {string} text @param {string} type its media type */
export function saveFile(name, text, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // Some browsers read it only when they have asked where to.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
