// Starts the editor once the page is painted. The editor is fifty modules: earlier, a slow phone would fetch and parse them
// while it needs the styles.

const { content } = document.getElementById("modules");

function start() {
  document.head.append(content.cloneNode(true));
  import("./editor.js");
}

// A page in the background is not painted.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
