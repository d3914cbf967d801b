package plugin

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUninstall has install.sh remove what was installed after somebody has deleted
// the program: what the user changed of the profile stays.
func TestUninstall(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.config/wireshark/preferences", "the user's")
	want := p.files(t)
	p.cfg.Program = true
	p.withProfile(map[string]string{"preferences": "1", "dfilter_buttons": "1"})
	p.install(t, p.cfg)
	p.write(t, profileFolder+"/preferences", "the user's")
	if err := os.Remove(p.path("home/.local/bin/ampulla")); err != nil {
		t.Fatal(err)
	}
	maps.Copy(want, map[string]string{profileFolder: "/", filepath.Dir(profileFolder): "/", profileFolder + "/preferences": "the user's"})
	script, err := os.ReadFile("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "build/install.sh", string(script))
	cmd := exec.Command("bash", p.path("build/install.sh"), "--uninstall", "--yes")
	cmd.Env = append(os.Environ(), "HOME="+p.path("home"))
	if os.Geteuid() == 0 { // root's would be for everyone
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		give(t, p.dir, 65534)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(want, p.files(t)); diff != "" {
		t.Error(diff)
	}
}

// give makes a folder of the test, and all in it, another user's.
func give(t *testing.T, dir string, user int) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // the test's own
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
	if err != nil {
		t.Fatal(err)
	}
}
