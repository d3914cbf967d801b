package baseline

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A baseline is saved as one line of text, which names the format and has the
// hash of all that follows, and a document in JSON behind it, compressed with
// gzip (RFC 1952). Equal baselines are equal files.
const (
	magic = "ampulla baseline "
	// formatVersion is that of the document; others are refused.
	formatVersion = "1"
	hashed        = " sha256="
	// maxFile and maxDocument bound what is read, bytes.
	maxFile     = 16 << 20
	maxDocument = 64 << 20
)

// ErrNotBaseline means that a file is something else.
var ErrNotBaseline = errors.New("baseline: not a baseline: it does not begin with " + strings.TrimSpace(magic))

// Write saves b.
func (b *Baseline) Write(w io.Writer) error {
	text, err := json.Marshal(b.document())
	if err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	body := compress(text)
	hash := sha256.Sum256(body)
	_, err = fmt.Fprintf(w, "%s%s%s%s\n%s", magic, formatVersion, hashed, hex.EncodeToString(hash[:]), body)
	return err
}

// compress returns text, compressed.
func compress(text []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(text) // into memory
	_ = w.Close()
	return out.Bytes()
}

// Hash returns what tells b from other baselines, hexadecimal; empty if b is nil.
func (b *Baseline) Hash() string {
	if b == nil {
		return ""
	}
	text, _ := json.Marshal(b.document()) // of numbers and strings
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:])
}

// WriteJSON writes b as the document that a file holds, for other programs.
func (b *Baseline) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b.document())
}

// Read reads what Write wrote. Anything else is refused with the reason: a file of
// another kind or version, one that is damaged or too large, and counts that
// cannot be. It is safe for files from strangers.
func Read(r io.Reader) (*Baseline, error) {
	in := bufio.NewReader(io.LimitReader(r, maxFile+1))
	head, err := in.Peek(len(magic))
	if string(head) != magic {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("baseline: %w", err)
		}
		return nil, ErrNotBaseline
	}
	const longest = len(magic) + 16 + len(hashed) + 2*sha256.Size
	line, err := readLine(in, longest)
	if err != nil {
		return nil, fmt.Errorf("baseline: first line: %w", err)
	}
	v, want, _ := strings.Cut(line[len(magic):], hashed)
	if v != formatVersion {
		return nil, fmt.Errorf("baseline: format %q, this program reads format %s: learn it again", v, formatVersion)
	}
	body, err := io.ReadAll(in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("baseline: %w", err)
	case len(line)+1+len(body) > maxFile:
		return nil, fmt.Errorf("baseline: larger than %d bytes", maxFile)
	}
	if hash := sha256.Sum256(body); hex.EncodeToString(hash[:]) != want {
		return nil, errors.New("baseline: damaged: what follows the first line does not have the hash that it states")
	}
	return parse(body)
}

// readLine reads a line of at most so many bytes, without its end.
func readLine(r *bufio.Reader, longest int) (string, error) {
	var line []byte
	for len(line) <= longest {
		c, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case c == '\n':
			return string(line), nil
		}
		line = append(line, c)
	}
	return "", fmt.Errorf("longer than %d bytes", longest)
}

// parse reads the document.
func parse(body []byte) (*Baseline, error) {
	decoder, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("baseline: decompress: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(decoder, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("baseline: decompress: %w", err)
	case len(text) > maxDocument:
		return nil, fmt.Errorf("baseline: larger than %d bytes when decompressed", maxDocument)
	}
	var d document
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d); err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if strict.More() {
		return nil, errors.New("baseline: something follows the document")
	}
	b, err := d.baseline()
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	return b, nil
}
