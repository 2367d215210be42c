"use strict";

const place = document.getElementById("reference");

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  tryItOutEnabled: true,
  displayRequestDuration: true,
  // A key typed here lives in the tab's memory only.
  persistAuthorization: false,
  // The page asks no validator of anybody else's.
  validatorUrl: null,
});
