// Package annotatorv1 is the contract between the annotator and whoever asks it:
// annotator.proto and the code generated from it.
package annotatorv1

// Contract is the revision of the contract, see Info.contract: it grows by one
// whenever a field or a method is added in a release.
const Contract = 2
