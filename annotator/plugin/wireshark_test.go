package plugin

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDescribe reads what tshark of Debian 12, 13 and sid print.
func TestDescribe(t *testing.T) {
	const begin = "Temp:                \t/tmp\n" +
		"Personal configuration:\t/home/u/.config/wireshark\n" +
		"Global configuration:\t/usr/share/wireshark\n" +
		"Personal Plugins:    \t/home/u/.local/lib/wireshark/plugins/4.x\n" +
		"Personal Lua Plugins:\t/home/u/.local/lib/wireshark/plugins\n" +
		"Global Lua Plugins:  \t/usr/lib/x86_64-linux-gnu/wireshark/plugins\n"
	const end = "MaxMind database path:\t/usr/share/GeoIP\nMaxMind database path:\t/var/lib/GeoIP\n"
	const personalLua, globalLua = "/home/u/.local/lib/wireshark/plugins", "/usr/lib/x86_64-linux-gnu/wireshark/plugins"
	for _, test := range []struct {
		version, extcap  string
		want             string
		personal, global string
	}{
		{
			"TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).\n\nCopyright",
			"Extcap path:         \t/usr/lib/x86_64-linux-gnu/wireshark/extcap\n",
			"4.0.17", "/home/u/.config/wireshark/extcap", "/usr/lib/x86_64-linux-gnu/wireshark/extcap",
		},
		{
			"TShark (Wireshark) 4.4.19.\n",
			"Personal Extcap path:\t/home/u/.local/lib/wireshark/extcap\nGlobal Extcap path:  \t/usr/lib/x86_64-linux-gnu/wireshark/extcap\n",
			"4.4.19", "/home/u/.local/lib/wireshark/extcap", "/usr/lib/x86_64-linux-gnu/wireshark/extcap",
		},
		{
			"TShark (Wireshark) 4.6.9.\n",
			"Personal Extcap path:\t/home/u/.local/lib/wireshark/extcap\nGlobal Extcap path:  \t/usr/libexec/wireshark/extcap\n",
			"4.6.9", "/home/u/.local/lib/wireshark/extcap", "/usr/libexec/wireshark/extcap",
		},
	} {
		got, err := describe("/usr/bin/tshark", test.version, begin+test.extcap+end)
		if err != nil {
			t.Fatal(err)
		}
		want := Wireshark{
			Program: "/usr/bin/tshark", Version: test.want, Settings: "/home/u/.config/wireshark",
			personal: folders{personalLua, test.personal, "/home/u/.config/wireshark/profiles"},
			global:   folders{globalLua, test.global, "/usr/share/wireshark/profiles"},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Wireshark{}, folders{})); diff != "" {
			t.Errorf("%s", diff)
		}
	}
	withoutLua := strings.ReplaceAll(begin, "Lua Plugins", "Other Plugins")
	if got, err := describe("/usr/bin/tshark", "TShark (Wireshark) 4.4.19.", withoutLua+end); err == nil {
		t.Errorf("a Wireshark without Lua is %+v", got)
	}
}

// TestAskOneThatHangs has a tshark that never answers told apart from one that
// cannot run.
func TestAskOneThatHangs(t *testing.T) {
	p := newPlace(t)
	p.write(t, "bin/tshark", "#!/bin/sh\nsleep 600\n")
	p.write(t, "damaged/tshark", "#!/nowhere\n")
	for _, program := range []string{"bin/tshark", "damaged/tshark"} {
		if err := os.Chmod(p.path(program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, p.path("bin/tshark")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "bin/tshark --version: does not answer") {
		t.Errorf("the one that hangs: %v", err)
	}
	if _, err := ask(t.Context(), p.path("damaged/tshark")); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the damaged one: %v", err)
	}
}

// TestLuaTroubles reads what tshark of Debian 12 and 13 say of two scripts with
// errors.
func TestLuaTroubles(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.local/lib/wireshark/plugins/with a long name/worse.lua", "")
	worse := p.path("home/.local/lib/wireshark/plugins/with a long name/worse.lua")
	for _, complaints := range []string{
		"Running as user \"root\" and group \"root\". This could be dangerous.\n" +
			"tshark: Lua: Error during loading:\n/home/u/plugins/bad.lua:1: attempt to index local 'x' (a nil value)\n" +
			"stack traceback:\n\t/home/u/plugins/bad.lua:1: in main chunk\n" +
			"tshark: Lua: syntax error: ...with a long name/worse.lua:1: syntax error near 'is'\n",
		"tshark: Lua: Error during loading:\n/home/u/plugins/bad.lua:1: attempt to index local 'x' (a nil value)\n" +
			"stack traceback:\n\t/home/u/plugins/bad.lua:1: in main chunk\n\t[C]: in function 'require'\n" +
			"tshark: Lua: Error during loading:\nerror loading module 'worse' from file '" + worse + "':\n\t" +
			"...with a long name/worse.lua:1: syntax error near 'is'\nstack traceback:\n\t[C]: in ?\n",
	} {
		got := p.shark.luaTroubles(complaints)
		for i := range got {
			got[i].Mend = "" // depends on who runs the test
		}
		want := []Item{
			{Path: "/home/u/plugins/bad.lua", State: "error", Detail: "Lua, line 1: attempt to index local 'x' (a nil value)"},
			{Path: worse, State: "error", Detail: "Lua, line 1: syntax error near 'is'"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if got := p.shark.luaTroubles("tshark: something else\n"); got != nil {
		t.Errorf("no trouble, and yet %+v", got)
	}
	for path, want := range map[string]string{"/a/b.lua": "/a/b.lua", "/it's": `'/it'\''s'`, "/a b": "'/a b'"} {
		if got := quoted(path); got != want {
			t.Errorf("%s quoted is %s, want %s", path, got, want)
		}
	}
}
