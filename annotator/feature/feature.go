// Package feature turns the state of flows and hosts into the named, versioned
// vectors of numbers that the models read.
//
// No feature knows addresses, ports, absolute times, TTLs or anything else that
// tells one capture from another rather than one behaviour from another:
// shifting all times, or renumbering addresses or ports, changes no vector.
package feature

// Version names the definition of both vectors. It changes whenever a feature
// is added, removed, reordered or computed differently; a model only runs with
// the version that it was trained with.
const Version = "2"

// Feature describes one number of a vector. The tables of features are data:
// the order of a table is the order of its vector.
type Feature struct {
	Name string
	Doc  string // definition, unit, range, source
	// Log tells that the vector holds log(1+x) of what Doc defines.
	Log bool
	// Phrase puts a value into words for a reason, with %s for its number,
	// without one if it is 0 or 1. Features without a phrase are never given
	// as a reason.
	Phrase string
}

func names(features []Feature) []string {
	n := make([]string, len(features))
	for i, f := range features {
		n[i] = f.Name
	}
	return n
}
