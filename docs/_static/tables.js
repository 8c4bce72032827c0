// Columns of words in data frames are set like words: on the left, and wide enough to read.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.dataframe")) {
    const columns = new Set();
    for (const cell of table.querySelectorAll("tbody td")) {
      if (/[A-Za-z]{4}/.test(cell.textContent)) columns.add(cell.cellIndex);
    }
    for (const cell of table.querySelectorAll("th, td")) {
      if (!columns.has(cell.cellIndex) || cell.colSpan > 1) continue;
      cell.classList.add("words");
      cell.classList.toggle("sentence", cell.textContent.length > 60);
    }
  }
});
