// Package lua holds what of Ampulla runs inside Wireshark: ai.lua, which shows
// verdicts as the fields ai.*. The Go package exists to carry the script into
// the programs that install it, and to test it in real Wiresharks.
package lua

import _ "embed"

// Script is the text of ai.lua.
//
//go:embed ai.lua
var Script string
