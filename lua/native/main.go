// Command native is the module through which ai.lua asks the annotator: built
// with -buildmode=c-shared, loaded into Wireshark with package.loadlib as
// luaopen_ampulla. Start reading at capture.go; shim.c is what Lua sees.
package main

func main() {}
