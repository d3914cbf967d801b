package dumpcap

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// group is whose members may capture, on most systems.
const group = "wireshark"

// Rights is what a dumpcap's file says of who may capture with it.
type Rights struct {
	Mode         fs.FileMode
	Group        string // that the file belongs to
	Capabilities bool   // the file has capabilities of its own, see capabilities(7)
	Member       bool   // the user is in Group, by the system's list of users
	Active       bool   // and so is this process: since the user logged in
}

// Rights looks at the file; the zero value means that it cannot be looked at.
func (p Program) Rights() Rights {
	info, err := os.Stat(string(p))
	if err != nil {
		return Rights{}
	}
	r := Rights{Mode: info.Mode(), Capabilities: hasCapabilities(string(p))}
	gid, ok := groupOf(info)
	if !ok {
		return r
	}
	r.Group = gid
	if g, err := user.LookupGroupId(gid); err == nil {
		r.Group = g.Name
	}
	if u, err := user.Current(); err == nil {
		ids, _ := u.GroupIds() // none on error
		r.Member = slices.Contains(ids, gid)
	}
	ids, _ := os.Getgroups() // none on error
	number, err := strconv.Atoi(gid)
	r.Active = err == nil && (number == os.Getegid() || slices.Contains(ids, number))
	return r
}

func (r Rights) String() string {
	if r.Mode == 0 {
		return "its rights cannot be looked at"
	}
	text := fmt.Sprintf("%v, group %s, without capabilities of its own", r.Mode, r.Group)
	if r.Capabilities {
		text = fmt.Sprintf("%v, group %s, with capabilities of its own", r.Mode, r.Group)
	}
	switch {
	case os.Geteuid() == 0:
		return text
	case r.Active:
		return text + "; you are in the group"
	case r.Member:
		return text + "; you are in the group, from the next log-in on"
	}
	return text + "; you are not in the group"
}

// permissionHint names the commands that give the user the right to capture,
// behind "run: ".
func (p Program) permissionHint() string {
	who := "$USER"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	join := []string{"sudo usermod -aG " + group + " " + who}
	const again = "; then log out and in again"
	rights := p.Rights()
	// Debian's own way, which its updates know of; its program is not in users' PATH.
	switch _, err := os.Stat("/usr/sbin/dpkg-reconfigure"); {
	case os.Geteuid() == 0:
		return "not even root may capture here; a container needs the capabilities for it, run: docker run --cap-add=NET_RAW --cap-add=NET_ADMIN ..."
	case rights.Group == group && rights.Member && !rights.Active:
		return fmt.Sprintf("you are in the group %s, but have not logged in since; log out and in again, or for one shell run: newgrp %s", group, group)
	case rights.Group == group:
	case err == nil:
		join = append([]string{
			"echo wireshark-common wireshark-common/install-setuid boolean true | sudo debconf-set-selections",
			"sudo dpkg-reconfigure -f noninteractive wireshark-common",
		}, join...)
	default:
		join = append([]string{
			"sudo groupadd -f " + group,
			fmt.Sprintf("sudo chgrp %s %s", group, p),
			fmt.Sprintf("sudo chmod 750 %s", p),
			fmt.Sprintf("sudo setcap cap_net_raw,cap_net_admin=eip %s", p),
		}, join...)
	}
	return fmt.Sprintf("members of the group %s may capture; run: %s%s", group, strings.Join(join, " && "), again)
}
