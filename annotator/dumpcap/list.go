package dumpcap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Interface is something that can be captured from.
type Interface struct {
	Name        string   // as in Config.Interfaces
	Description string   // for people; may be empty
	Addresses   []string // IP addresses, in text
	Loopback    bool
}

// LinkType is a link-layer type that an interface offers.
type LinkType struct {
	Number      int    // DLT_ value of libpcap
	Name        string // as in Config.LinkType, such as "EN10MB"
	Description string // for people
}

// Capabilities is what an interface can do.
type Capabilities struct {
	Monitor   bool       // monitor mode
	LinkTypes []LinkType // the first one is what is captured unless told otherwise
}

// TimestampType is a source of time stamps that an interface offers.
type TimestampType struct {
	Name        string // as in Config.TimestampType, such as "adapter"
	Description string // for people
}

// Interfaces lists the interfaces, in dumpcap's order. It needs no right to
// capture on most systems. The errors of this and the other questions are those
// of ctx, and [*Error].
func (p Program) Interfaces(ctx context.Context) ([]Interface, error) {
	out, err := p.run(ctx, "-D", "-M")
	if err != nil {
		return nil, err
	}
	list, err := parseInterfaces(out)
	return list, p.unexpected("-D -M", err)
}

// Capabilities tells what an interface can do.
func (p Program) Capabilities(ctx context.Context, netif string) (Capabilities, error) {
	out, err := p.run(ctx, "-L", "-M", "-i", netif)
	if err != nil {
		return Capabilities{}, err
	}
	c, err := parseCapabilities(out)
	return c, p.unexpected("-L -M", err)
}

// TimestampTypes lists the sources of time stamps that an interface offers.
func (p Program) TimestampTypes(ctx context.Context, netif string) ([]TimestampType, error) {
	out, err := p.run(ctx, "--list-time-stamp-types", "-M", "-i", netif)
	if err != nil {
		return nil, err
	}
	list, err := parseTimestampTypes(out)
	return list, p.unexpected("--list-time-stamp-types -M", err)
}

// CheckFilter compiles a capture filter for an interface, the default one if
// netif is empty; nil means that it is valid. It needs the right to capture.
func (p Program) CheckFilter(ctx context.Context, netif, filter string) error {
	if filter == "" {
		return nil
	}
	args := []string{"-d", "-f", filter}
	if netif != "" {
		args = append(args, "-i", netif)
	}
	_, err := p.run(ctx, args...)
	return err
}

// unexpected makes an error of an answer that could not be read.
func (p Program) unexpected(question string, err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		return p.explain(name + ": " + string(refused))
	}
	if err != nil {
		return &Error{Kind: ErrFailed, Text: fmt.Sprintf("dumpcap %s: %v", question, err)}
	}
	return nil
}

// From version 4.4 on, answers are JSON: a list of objects that each hold one
// member, named as the interface. Before, they are lines of text with tabs.

func isJSON(answer []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(answer), []byte("[")) }

// status is in each member that is about one interface.
type status struct {
	Status  int    `json:"status"` // 0: the rest is valid
	Message string `json:"primary_msg"`
}

func (s status) err() error {
	if s.Status != 0 {
		return refusal(s.Message)
	}
	return nil
}

// refusal is why dumpcap does not answer, in its words.
type refusal string

func (r refusal) Error() string { return string(r) }

// eachMember calls visit with every member of a JSON answer.
func eachMember[T any](answer []byte, visit func(name string, member T) error) error {
	var list []map[string]T
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	for _, object := range list {
		for name, member := range object {
			if err := visit(name, member); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachLine calls visit with the fields of every line of a text answer.
func eachLine(answer []byte, visit func(fields []string) error) error {
	for line := range strings.Lines(string(answer)) {
		if err := visit(strings.Split(strings.TrimRight(line, "\r\n"), "\t")); err != nil {
			return err
		}
	}
	return nil
}

// parseInterfaces reads the answer to -D -M. Its lines are a number with a dot,
// a space and the name; description of the vendor, description, kind, addresses
// with commas between them, and "loopback" or "network".
func parseInterfaces(answer []byte) ([]Interface, error) {
	var list []Interface
	if isJSON(answer) {
		type member struct {
			Friendly  string   `json:"friendly_name"`
			Vendor    string   `json:"vendor_description"`
			Addresses []string `json:"addrs"`
			Loopback  bool     `json:"loopback"`
		}
		err := eachMember(answer, func(name string, m member) error {
			list = append(list, Interface{name, described(m.Friendly, m.Vendor), m.Addresses, m.Loopback})
			return nil
		})
		return list, err
	}
	err := eachLine(answer, func(fields []string) error {
		number, name, ok := strings.Cut(fields[0], ". ")
		if _, err := strconv.Atoi(number); err != nil || !ok || len(fields) < 6 {
			return fmt.Errorf("unknown line %q", strings.Join(fields, "\t"))
		}
		i := Interface{Name: name, Description: described(fields[2], fields[1]), Loopback: fields[5] == "loopback"}
		if fields[4] != "" {
			i.Addresses = strings.Split(fields[4], ",")
		}
		list = append(list, i)
		return nil
	})
	return list, err
}

// described returns the friendlier of two descriptions.
func described(friendly, vendor string) string {
	if friendly != "" {
		return friendly
	}
	return vendor
}

// parseCapabilities reads the answer to -L -M. In text, the first line is 1 if
// there is a monitor mode and 0 otherwise, then comes a line for each link
// type. A second list, of monitor mode, may follow behind an empty line.
func parseCapabilities(answer []byte) (Capabilities, error) {
	var c Capabilities
	if isJSON(answer) {
		type linkType struct {
			Number      int    `json:"dlt"`
			Name        string `json:"name"`
			Description string `json:"description"`
		}
		type member struct {
			status
			Monitor bool       `json:"rfmon"`
			Types   []linkType `json:"data_link_types"`
		}
		err := eachMember(answer, func(_ string, m member) error {
			c.Monitor = m.Monitor
			for _, t := range m.Types {
				c.LinkTypes = append(c.LinkTypes, LinkType(t))
			}
			return m.err()
		})
		return c, err
	}
	first, rest, _ := bytes.Cut(answer, []byte("\n"))
	c.Monitor = string(first) == "1"
	rest, _, _ = bytes.Cut(rest, []byte("\n\n"))
	err := eachLine(rest, func(fields []string) error {
		if len(fields) < 3 {
			return nil
		}
		number, err := strconv.Atoi(fields[0])
		c.LinkTypes = append(c.LinkTypes, LinkType{number, fields[1], fields[2]})
		return err
	})
	return c, err
}

// parseTimestampTypes reads the answer to --list-time-stamp-types -M: in text,
// a line with name and description for each.
func parseTimestampTypes(answer []byte) ([]TimestampType, error) {
	var list []TimestampType
	if isJSON(answer) {
		type member struct {
			status
			Types []struct {
				Name        string `json:"name"`
				Description string `json:"description"`
			} `json:"timestamp_types"`
		}
		err := eachMember(answer, func(_ string, m member) error {
			for _, t := range m.Types {
				list = append(list, TimestampType(t))
			}
			return m.err()
		})
		return list, err
	}
	err := eachLine(answer, func(fields []string) error {
		if len(fields) == 2 {
			list = append(list, TimestampType{fields[0], fields[1]})
		}
		return nil
	})
	return list, err
}
