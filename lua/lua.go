// Package lua holds what of Ampulla runs inside Wireshark: ai.lua, which shows
// verdicts as the fields ai.*, and the profile AI, which shows them in columns
// and colours. The Go package exists to carry both into the programs that
// install them, and to test them in real Wiresharks.
package lua

import "embed"

// Script is the text of ai.lua.
//
//go:embed ai.lua
var Script string

// Asker is the text of ai_ask.lua, which lies beside ai.lua: how the annotator is
// asked.
//
//go:embed ai_ask.lua
var Asker string

// Menus is the text of ai_menu.lua, which lies beside ai.lua: the menus in
// Wireshark's window.
//
//go:embed ai_menu.lua
var Menus string

// Profiles holds the folder profile/AI, whose files make a configuration profile
// of Wireshark.
//
//go:embed profile
var Profiles embed.FS
