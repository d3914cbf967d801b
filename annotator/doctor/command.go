package doctor

import (
	"os"
	"os/exec"
	"strings"
)

// installers lists the programs that install packages, and how.
var installers = []struct{ program, command string }{
	{"apt-get", "apt-get install -y "},
	{"dnf", "dnf install -y "},
	{"zypper", "zypper install -y "},
	{"pacman", "pacman -S --noconfirm "},
	{"apk", "apk add "},
	{"brew", "brew install "},
}

// installTshark is the command that installs tshark.
func installTshark() string {
	packages := map[string]string{"apt-get": "tshark", "apk": "tshark", "dnf": "wireshark-cli", "pacman": "wireshark-cli"}
	for _, installer := range installers {
		if _, err := exec.LookPath(installer.program); err != nil {
			continue
		}
		name := packages[installer.program]
		if name == "" {
			name = "wireshark"
		}
		if installer.program == "brew" {
			return installer.command + name
		}
		return asRoot(installer.command + name)
	}
	return "install Wireshark with its command line, tshark"
}

// asRoot is how to run a command as root.
func asRoot(command string) string {
	if os.Geteuid() == 0 {
		return command
	}
	return "sudo " + command
}

// packaged tells that the running program came with a package, whose manager
// mends it, rather than from install.sh.
func packaged(program string) bool { return strings.HasPrefix(program, "/usr/bin/") }

// reinstall is the command that puts a program and its library in place again.
func reinstall(program string) string {
	if !packaged(program) {
		return "./install.sh"
	}
	if _, err := exec.LookPath("apt-get"); err == nil {
		return asRoot("apt-get install --reinstall ampulla")
	}
	return asRoot("dnf reinstall ampulla")
}
