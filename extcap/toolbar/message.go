package toolbar

import (
	"errors"
	"fmt"
	"io"
)

// Command is what a [Message] is for.
type Command byte

// Commands of the control protocol, see the chapter on extcap of Wireshark's
// developer's guide. Initialized and Set go both ways, the others to Wireshark.
const (
	Initialized Command = iota
	Set
	Add
	Remove
	Enable
	Disable
	StatusMessage      // shown for a while at the bottom of the window
	InformationMessage // shown in a dialog, as are the next two
	WarningMessage
	ErrorMessage
)

// Message is one message of the control protocol.
type Message struct {
	Control byte // number of the control; 0 where it does not matter
	Command Command
	Payload []byte
}

const (
	syncByte   = 'T'
	headLen    = 6
	maxPayload = 65_535
)

// errNotInSync means that what was read cannot be a message.
var errNotInSync = errors.New("not a control message")

// Append appends m as it travels: a T; the length of what follows, in three
// bytes, big endian; control, command and payload. A payload beyond 65,535 bytes
// is cut.
func (m Message) Append(dst []byte) []byte {
	payload := m.Payload[:min(len(m.Payload), maxPayload)]
	n := len(payload) + 2
	dst = append(dst, syncByte, byte(n>>16), byte(n>>8), byte(n), m.Control, byte(m.Command))
	return append(dst, payload...)
}

// Read reads the next message. It returns io.EOF when Wireshark has closed the
// pipe.
func Read(r io.Reader) (Message, error) {
	var head [headLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Message{}, err
	}
	n := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
	if head[0] != syncByte || n < 2 || n > maxPayload+2 {
		return Message{}, fmt.Errorf("%w: % x", errNotInSync, head)
	}
	m := Message{Control: head[4], Command: Command(head[5])}
	if n > 2 {
		m.Payload = make([]byte, n-2)
		if _, err := io.ReadFull(r, m.Payload); err != nil {
			return Message{}, fmt.Errorf("control message: %w", err)
		}
	}
	return m, nil
}
