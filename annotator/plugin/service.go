package plugin

import (
	"context"
	_ "embed"
	"path/filepath"
	"strings"
)

//go:embed ampulla.socket
var socketUnit string

//go:embed ampulla.service
var serviceUnit string

// The units' names.
const (
	socketName  = "ampulla.socket"
	serviceName = "ampulla.service"
)

// StartCommand starts the socket in a session that began before it was
// installed; from the next log-in on it is there by itself.
const StartCommand = "systemctl --user daemon-reload && systemctl --user start " + socketName

// serviceParts returns the units, and the link by which systemd starts the
// socket at log-in: the one that systemctl enable makes, for which a systemd
// would have to be running.
func (c *Config) serviceParts() ([]part, error) {
	program := c.program()
	if !c.Program && !exists(program) {
		var err error
		if program, err = executable(); err != nil {
			return nil, err
		}
	}
	// See systemd.service(5), "Command lines".
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(program)
	socket := filepath.Join(c.Units, socketName)
	return []part{
		{target: socket, text: socketUnit, mode: 0o644},
		{target: filepath.Join(c.Units, serviceName), text: strings.ReplaceAll(serviceUnit, "PROGRAM", quoted), mode: 0o644},
		{target: filepath.Join(c.Enabled, "sockets.target.wants", socketName), link: socket},
	}, nil
}

// isUnit tells whether a file is one of systemd's.
func (c *Config) isUnit(path string) bool { return filepath.Dir(path) == c.Units }

// HasService tells whether the units are installed.
func (c *Config) HasService() bool { return exists(filepath.Join(c.Units, socketName)) }

// StartService makes systemd know the units and listen; an error means that no
// systemd of this user's can be reached.
func StartService(ctx context.Context) error {
	if _, _, err := run(ctx, "systemctl", "--user", "daemon-reload"); err != nil {
		return err
	}
	_, _, err := run(ctx, "systemctl", "--user", "start", socketName)
	return err
}

// StopService ends the annotator that systemd has started, and its socket.
func StopService(ctx context.Context) error {
	_, _, err := run(ctx, "systemctl", "--user", "stop", socketName, serviceName)
	return err
}
