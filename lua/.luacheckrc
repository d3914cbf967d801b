-- What Wireshark adds to Lua; the scripts themselves must be clean for 5.2
-- (Wireshark 4.0) and 5.4 (4.4 and later), see TestLuacheck.
read_globals = {
    "Dissector", "Field", "base", "frametype", "Pref", "Proto", "ProtoExpert", "ProtoField",
    "expert", "gui_enabled", "register_postdissector", "set_plugin_info", "TreeItem", "Tvb",
    "MENU_TOOLS_UNSORTED", "ProgDlg", "TextWindow", "apply_filter", "browser_open_url", "new_dialog",
    "open_capture_file", "redissect_packets", "register_menu", "register_packet_menu", "set_filter",
}
max_line_length = 110

-- Stands in for Wireshark's windows and menus, so it sets what others read.
files["testdata/menus.lua"] = {
    globals = {
        "MENU_TOOLS_UNSORTED", "ProgDlg", "TextWindow", "apply_filter", "browser_open_url", "new_dialog",
        "open_capture_file", "redissect_packets", "register_menu", "register_packet_menu", "set_filter",
    },
    ignore = { "212" }, -- what a stand-in is given and has no use for
    max_line_length = 140,
}
