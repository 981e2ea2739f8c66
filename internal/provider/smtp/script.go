package smtp

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/log"

	"github.com/herald-push/herald/internal/provider"
)

// script writes down one conversation, if somebody wants it. Its methods may be
// called on nil.
type script struct {
	to    *provider.Transcript
	x     provider.Exchange
	lines strings.Builder
}

// maxScript is how much is kept, in bytes.
const maxScript = 32 << 10

func newScript(ctx context.Context, address string) *script {
	to := provider.TranscriptOf(ctx)
	if to == nil {
		return nil
	}
	return &script{to: to, x: provider.Exchange{At: time.Now(), Method: "SMTP", URL: "smtp://" + address}}
}

// end hands over what was written.
func (s *script) end() {
	if s == nil {
		return
	}
	s.x.Took = time.Since(s.x.At)
	s.x.Body = s.lines.String()
	s.to.Add(s.x)
}

// failed keeps why it failed, and gives it back.
func (s *script) failed(err error) error {
	if s != nil && err != nil {
		s.x.Err = err.Error()
	}
	return err
}

// write adds what we say, line by line.
func (s *script) write(text string) {
	if s != nil {
		s.add("> ", text)
	}
}

// reply adds what the server says.
func (s *script) reply(code int, text string) {
	if s == nil {
		return
	}
	s.x.Status, s.x.Answer = code, text
	s.add("< ", strconv.Itoa(code)+" "+text)
}

func (s *script) note(err error) {
	if s != nil {
		s.add("! ", err.Error())
	}
}

func (s *script) add(mark, text string) {
	for line := range strings.Lines(text) {
		if s.lines.Len()+len(line) > maxScript {
			return
		}
		s.lines.WriteString(mark + strings.TrimRight(line, "\r\n") + "\n")
	}
}

// Debugf takes a line of the library down, which has hidden what signs in.
func (s *session) Debugf(l log.Log) {
	if s.script == nil {
		return
	}
	text := fmt.Sprintf(l.Format, l.Messages...)
	if l.Direction == log.DirClientToServer {
		s.script.write(text)
		return
	}
	code, rest, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(code)
	// What it did not expect comes as an error, and this with no number.
	if n != 0 {
		s.script.reply(n, rest)
	}
}

// Infof, Warnf and Errorf are never called by the library's client.

// Infof does nothing.
func (s *session) Infof(log.Log) {}

// Warnf does nothing.
func (s *session) Warnf(log.Log) {}

// Errorf does nothing.
func (s *session) Errorf(log.Log) {}
