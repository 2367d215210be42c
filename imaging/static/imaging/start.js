// Starts the editor once the page is painted. The editor is fifty modules: earlier, a slow phone would fetch and parse them
// while it needs the styles.

// Each request takes such a phone a few milliseconds. It can react to a finger between two groups of this size.
const AT_ONCE = 8;
const links = [...document.getElementById("modules").content.children];

async function start() {
  while (links.length) {
    // Timers of a page in the background are slow.
    document.head.append(...links.splice(0, document.hidden ? links.length : AT_ONCE));
    await new Promise((done) => setTimeout(done));
  }
  import("./editor.js");
}

// A page in the background is not painted.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
