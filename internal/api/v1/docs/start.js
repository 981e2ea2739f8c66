// Shows the OpenAPI document of this server. Nothing is asked of any other:
// no validator, no fonts, and credentials stay in the page's memory.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
})
