"use strict";

/** The file name in the response's headers. */
function fileName(headers) {
  return /filename="([^"]+)"/.exec(headers["content-disposition"] ?? "")?.[1] ?? "cutout";
}

/** The resulting picture on a checkerboard, with a link to download it. */
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
      make("img", { src: address, alt: "The resulting picture" }),
      make("figcaption", null,
        make("a", { className: "button small", href: address, download: fileName(headers) }, "Download"), facts));
  };
}

/** Show the request id of every response, and an image as an image. */
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

/** Collapse the many headers of each documented response. */
function headerTables(Original, system) {
  const make = system.React.createElement;
  return (props) => make("details", { className: "headers-more" }, make("summary", null, "Headers"), make(Original, props));
}

/** Swagger UI's layout without its title, servers and second <main>. */
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

/** Label the controls that Swagger UI leaves without a name, for screen readers. */
function labelControls(place) {
  place.querySelector(".close-modal")?.setAttribute("aria-label", "Close");
  // Long ones scroll: a keyboard can scroll only what it can focus.
  for (const text of place.querySelectorAll("pre.microlight")) text.tabIndex = 0;
  for (const control of place.querySelectorAll("select, input[type=file]")) {
    if (control.labels.length) continue;
    const title = control.closest("tr:not(.response)")?.querySelector(".parameter__name")
      ?? control.closest(".examples-select, .response-control-media-type")?.querySelector("small, span");
    control.setAttribute("aria-label", title?.textContent ?? "Content type");
  }
}

const place = document.getElementById("reference");
new MutationObserver(() => labelControls(place)).observe(place, { childList: true, subtree: true });

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
  // Its colours are inline styles for a dark theme; ours follow the reader's theme.
  syntaxHighlight: { activated: false },
  // A key typed here lives in the tab's memory only.
  persistAuthorization: false,
  // No request to an external validator.
  validatorUrl: null,
});
