// Package feature turns the state of flows and hosts into the named, versioned
// vectors of numbers that the models read.
package feature

// Version names the definition of both vectors. It changes whenever a feature
// is added, removed, reordered or computed differently; a model only runs with
// the version that it was trained with.
const Version = "1"
