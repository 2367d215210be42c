"use strict";

/** The file name that the answer gives its picture. */
function fileName(headers) {
  return /filename="([^"]+)"/.exec(headers["content-disposition"] ?? "")?.[1] ?? "cutout";
}

/** A picture that came back, on a checkerboard, to look at and to download. */
function makePicture({ React: { createElement: make, useEffect, useState } }) {
  return function Picture({ content, headers }) {
    const [address, setAddress] = useState(null);
    useEffect(() => {
      const made = URL.createObjectURL(content);
      setAddress(made);
      return () => URL.revokeObjectURL(made);
    }, [content]);
    if (!address) return null;
    const facts = `${headers["x-width"]} × ${headers["x-height"]} px, ${Math.ceil(content.size / 1000)} kB`;
    return make("figure", { className: "delivered" },
      make("img", { src: address, alt: "The picture that came back" }),
      make("figcaption", null,
        make("a", { className: "button small", href: address, download: fileName(headers) }, "Download"), facts));
  };
}

/** Every answer shows its request id; a picture is shown as one. */
function answers(Original, system) {
  const make = system.React.createElement;
  const Picture = makePicture(system);
  return function Answer(props) {
    const headers = props.headers ?? {};
    const isPicture = props.content instanceof Blob && props.content.type.startsWith("image/");
    return make("div", null,
      make(isPicture ? Picture : Original, { ...props, headers }),
      headers["x-request-id"]
        && make("p", { className: "request-id" }, "Request id ", make("code", null, headers["x-request-id"])));
  };
}

/** The headers of each documented answer are many: they open when asked for. */
function headerTables(Original, system) {
  const make = system.React.createElement;
  return (props) => make("details", { className: "headers-more" }, make("summary", null, "Headers"), make(Original, props));
}

/** The layout: what Swagger UI's own has, without its title, servers and second <main>. */
function layout({ React: { createElement: make } }) {
  return function ReferenceLayout({ getComponent, specSelectors }) {
    const loading = { loading: "Loading…", failed: "The document did not load. Reload the page to try again." };
    const status = specSelectors.loadingStatus() ?? "loading";
    const part = (name) => make(getComponent(name, true));
    const parts = status in loading
      ? [make("p", { className: "loading-says", role: "status" }, loading[status])]
      : [part("errors"), make("div", { className: "scheme-container" }, part("AuthorizeBtnContainer")), part("operations")];
    return make("div", { className: "swagger-ui" }, make(getComponent("SvgAssets")), ...parts);
  };
}

/** Swagger UI leaves some of its controls without a name: say what a screen reader has to know. */
function mend(place) {
  place.querySelector(".close-modal")?.setAttribute("aria-label", "Close");
  // Long ones scroll, which a keyboard can do only where it can go.
  for (const text of place.querySelectorAll("pre.microlight")) text.tabIndex = 0;
  for (const control of place.querySelectorAll("select, input[type=file]")) {
    if (control.labels.length) continue;
    const title = control.closest("tr:not(.response)")?.querySelector(".parameter__name")
      ?? control.closest(".examples-select, .response-control-media-type")?.querySelector("small, span");
    control.setAttribute("aria-label", title?.textContent ?? "Content type");
  }
}

const place = document.getElementById("reference");
new MutationObserver(() => mend(place)).observe(place, { childList: true, subtree: true });

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [
    (system) => ({
      components: { ReferenceLayout: layout(system) },
      wrapComponents: { responseBody: answers, headers: headerTables },
    }),
  ],
  layout: "ReferenceLayout",
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: -1,
  // Its colours are inline styles of a dark theme; ours follow the reader's.
  syntaxHighlight: { activated: false },
  // A key typed here lives in the tab's memory only.
  persistAuthorization: false,
  // The page asks no validator of anybody else's.
  validatorUrl: null,
});
