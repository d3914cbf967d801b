-- What Wireshark adds to Lua; ai.lua itself must be clean for 5.2 (Wireshark
-- 4.0) and 5.4 (4.4 and later), see TestLuacheck.
read_globals = {
    "Dissector", "Field", "base", "Pref", "Proto", "ProtoExpert", "ProtoField",
    "expert", "gui_enabled", "register_postdissector", "set_plugin_info", "TreeItem", "Tvb",
}
max_line_length = 110
