// Package annotatorv1 is the contract between the annotator and whoever asks it:
// annotator.proto, gateway.proto, and what is generated from them.
package annotatorv1

import _ "embed" // the description of the REST interface

// Contract is the revision of the contract, see Info.contract: it grows by one
// whenever a field or a method is added in a release.
const Contract = 3

// OpenAPI describes the REST interface, service Gateway: an OpenAPI 3.1 document.
//
//go:embed openapi.json
var OpenAPI []byte
