package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/herald-push/herald"
)

// maxKeys bounds what a source may say, in bytes.
const maxKeys = 64 << 10

// commandTime is how long a command may take.
const commandTime = 30 * time.Second

// Source says where the keys come from: one of its members.
type Source struct {
	Text    string   // the keys themselves, from the environment
	File    string   // the path of a file
	Command []string // a program with its arguments, which prints them; no shell
}

// None reports whether no source is named.
func (s Source) None() bool { return s.Text == "" && s.File == "" && len(s.Command) == 0 }

// Keys reads the keys of a source, the one that is to seal first. What it reads
// is in no error.
func (s Source) Keys(ctx context.Context) ([][]byte, error) {
	text, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

func (s Source) read(ctx context.Context) ([]byte, error) {
	given := 0
	for _, set := range []bool{s.Text != "", s.File != "", len(s.Command) > 0} {
		if set {
			given++
		}
	}
	if given != 1 {
		return nil, herald.Errorf(herald.CodeInvalidRequest, "Name one of text, file and command.", "seal: %d sources of keys are named", given)
	}
	switch {
	case s.Text != "":
		return []byte(s.Text), nil
	case s.File != "":
		return readFile(s.File)
	}
	return run(ctx, s.Command)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(f, maxKeys+1))
		if err = errors.Join(err, f.Close()); err == nil {
			return b, nil
		}
	}
	return nil, &herald.Error{Code: herald.CodeInvalidRequest, Remedy: "Check the path, and that the server may read it.", Message: "seal: the file with the keys cannot be read", Err: err}
}

// run gives what a program prints. Its errors are its own: they are not read,
// because they may repeat what it was asked for.
func run(ctx context.Context, command []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the operator names it
	cmd.WaitDelay = time.Second                                 // for children that hold its output
	out := &bounded{}
	cmd.Stdout = out
	err := cmd.Run()
	if err == nil {
		return out.b.Bytes(), nil
	}
	return nil, &herald.Error{Code: herald.CodeInvalidRequest, Remedy: "Run the command as the user of the server, and see what it says.",
		Message: "seal: the command that prints the keys has failed", Err: err}
}

// bounded takes what fits and refuses the rest.
type bounded struct{ b bytes.Buffer }

var errTooLong = errors.New("it prints too much")

func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > maxKeys {
		return 0, errTooLong
	}
	return w.b.Write(p)
}

// Generate makes a key and gives it with the line that Parse reads it from.
func Generate() (secret []byte, line string) {
	secret = make([]byte, KeyLen)
	_, _ = rand.Read(secret) // it never fails
	return secret, base64.StdEncoding.EncodeToString(secret) + "\n"
}

// Parse reads keys as base64 or hex, one a line, or with blanks or commas
// between them, as they are written in an environment variable. Blank lines and
// those that begin with # are left out.
func Parse(text []byte) ([][]byte, error) {
	if len(text) > maxKeys {
		return nil, herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "seal: the keys are longer than %d bytes", maxKeys)
	}
	var out [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			k, err := hex.DecodeString(word)
			if err != nil || len(k) != KeyLen {
				k, err = base64.StdEncoding.Strict().DecodeString(word)
			}
			if err != nil || len(k) != KeyLen {
				return nil, herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "seal: line %d is not a key", n)
			}
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "seal: there is no key")
	}
	return out, nil
}
