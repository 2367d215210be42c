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

const place = document.getElementById("reference");

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [() => ({ wrapComponents: { responseBody: answers, headers: headerTables } })],
  layout: "BaseLayout",
  deepLinking: true,
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
