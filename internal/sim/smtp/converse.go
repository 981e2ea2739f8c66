package smtp

import (
	"bufio"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald/internal/sim"
)

// maxMail is how large a mail is read.
const maxMail = 4 << 20

// talk is one conversation (RFC 5321).
type talk struct {
	s        *Server
	conn     net.Conn
	r        *textproto.Reader
	tls      bool
	greeted  bool
	user     string
	from, to string
	mail     bool // MAIL was taken
}

var errEnd = errors.New("sim: the conversation is over")

func (s *Server) converse(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Minute))
	t := &talk{s: s, conn: conn}
	if s.cfg.TLS {
		t.conn, t.tls = tls.Server(conn, s.tls), true
	}
	t.r = textproto.NewReader(bufio.NewReader(t.conn))
	if t.say("CONNECT", "220 sim.test ESMTP") != nil {
		return
	}
	for {
		line, err := t.r.ReadLine()
		if err != nil {
			return
		}
		name, rest, _ := strings.Cut(line, " ")
		if t.do(strings.ToUpper(name), strings.TrimSpace(rest)) != nil {
			return
		}
	}
}

// say replies to a command, or says what it was told to in its place. The error
// ends the conversation.
func (t *talk) say(command, reply string) error {
	if other := t.s.answer(command); other == "CUT" {
		return errEnd
	} else if other != "" {
		reply = other
	}
	lines := strings.Split(reply, "\n")
	for i, line := range lines {
		if i < len(lines)-1 && len(line) > 3 {
			line = line[:3] + "-" + line[4:]
		}
		if _, err := io.WriteString(t.conn, line+"\r\n"); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(reply, "2") && !strings.HasPrefix(reply, "3") {
		return errRefused
	}
	return nil
}

// errRefused says that a command was not taken; the conversation goes on.
var errRefused = errors.New("sim: refused")

func (t *talk) do(name, rest string) error {
	err := t.command(name, rest)
	if errors.Is(err, errRefused) {
		return nil
	}
	return err
}

func (t *talk) command(name, rest string) error {
	switch name {
	case "EHLO", "HELO":
		if err := t.say(name, t.hello(name)); err != nil {
			return err
		}
		t.greeted, t.mail, t.to = true, false, ""
		return nil
	case "NOOP":
		return t.say(name, "250 2.0.0 Ok")
	case "RSET":
		t.mail, t.to = false, ""
		return t.say(name, "250 2.0.0 Ok")
	case "QUIT":
		_ = t.say(name, "221 2.0.0 Bye")
		return errEnd
	case "STARTTLS":
		return t.startTLS()
	case "AUTH":
		return t.auth(rest)
	case "MAIL":
		return t.sender(rest)
	case "RCPT":
		return t.receiver(rest)
	case "DATA":
		return t.data()
	}
	return t.say(name, "502 5.5.2 Command not recognized")
}

func (t *talk) hello(name string) string {
	if name == "HELO" {
		return "250 sim.test"
	}
	list := []string{"250 sim.test", "250 8BITMIME", "250 SMTPUTF8", "250 ENHANCEDSTATUSCODES"}
	if t.s.cfg.Size > 0 {
		list = append(list, fmt.Sprintf("250 SIZE %d", t.s.cfg.Size))
	}
	if !t.tls && !t.s.cfg.NoTLS {
		list = append(list, "250 STARTTLS")
	}
	if t.s.cfg.Users != nil && (t.tls || t.s.cfg.NoTLS) {
		list = append(list, "250 AUTH "+strings.Join(t.s.cfg.Ways, " "))
	}
	return strings.Join(list, "\n")
}

func (t *talk) startTLS() error {
	if t.tls || t.s.cfg.NoTLS {
		return t.say("STARTTLS", "502 5.5.1 There is no TLS")
	}
	if err := t.say("STARTTLS", "220 2.0.0 Ready to start TLS"); err != nil {
		return err
	}
	t.conn, t.tls, t.greeted = tls.Server(t.conn, t.s.tls), true, false
	t.r = textproto.NewReader(bufio.NewReader(t.conn))
	return nil
}

// auth signs somebody in with PLAIN (RFC 4616) or LOGIN.
func (t *talk) auth(rest string) error {
	way, first, _ := strings.Cut(rest, " ")
	var user, password string
	switch strings.ToUpper(way) {
	case "PLAIN":
		if first == "" {
			var err error
			if first, err = t.ask(""); err != nil {
				return err
			}
		}
		b, _ := base64.StdEncoding.DecodeString(first)
		parts := strings.Split(string(b), "\x00")
		if len(parts) != 3 {
			return t.say("AUTH", "501 5.5.2 Malformed")
		}
		user, password = parts[1], parts[2]
	case "LOGIN":
		for _, p := range []struct {
			to   *string
			name string
		}{{&user, "Username:"}, {&password, "Password:"}} {
			said, err := t.ask(p.name)
			if err != nil {
				return err
			}
			b, _ := base64.StdEncoding.DecodeString(said)
			*p.to = string(b)
		}
	default:
		return t.say("AUTH", "504 5.5.4 Unrecognized authentication type")
	}
	known, ok := t.s.cfg.Users[user]
	if !ok || subtle.ConstantTimeCompare([]byte(known), []byte(password)) != 1 {
		return t.say("AUTH", "535 5.7.8 Authentication credentials invalid")
	}
	if err := t.say("AUTH", "235 2.7.0 Authentication succeeded"); err != nil {
		return err
	}
	t.user = user
	return nil
}

func (t *talk) ask(what string) (string, error) {
	if _, err := io.WriteString(t.conn, "334 "+base64.StdEncoding.EncodeToString([]byte(what))+"\r\n"); err != nil {
		return "", err
	}
	return t.r.ReadLine()
}

// path reads <address> behind FROM: or TO:.
func path(rest, word string) (string, bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", false
	}
	address, _, ok := strings.Cut(strings.TrimSpace(rest[len(word):]), ">")
	if !ok || !strings.HasPrefix(address, "<") {
		return "", false
	}
	return address[1:], true
}

func (t *talk) sender(rest string) error {
	from, ok := path(rest, "FROM:")
	switch {
	case !t.greeted:
		return t.say("MAIL", "503 5.5.1 Say EHLO first")
	case !t.tls && !t.s.cfg.NoTLS:
		return t.say("MAIL", "530 5.7.0 Must issue a STARTTLS command first")
	case t.s.cfg.Users != nil && t.user == "":
		return t.say("MAIL", "530 5.7.0 Authentication required")
	case t.mail:
		return t.say("MAIL", "503 5.5.1 There is a mail already")
	case !ok:
		return t.say("MAIL", "501 5.1.7 Bad sender address")
	}
	if err := t.say("MAIL", "250 2.1.0 Ok"); err != nil {
		return err
	}
	t.from, t.mail = from, true
	return nil
}

func (t *talk) receiver(rest string) error {
	to, ok := path(rest, "TO:")
	switch {
	case !t.mail:
		return t.say("RCPT", "503 5.5.1 Say MAIL first")
	case !ok || !strings.Contains(to, "@"):
		return t.say("RCPT", "501 5.1.3 Bad recipient address")
	case t.s.isGone(to):
		return t.say("RCPT", "550 5.1.1 <"+to+">: Recipient address rejected: User unknown")
	}
	if err := t.say("RCPT", "250 2.1.5 Ok"); err != nil {
		return err
	}
	t.to = to
	return nil
}

func (t *talk) data() error {
	if t.to == "" {
		return t.say("DATA", "503 5.5.1 Say RCPT first")
	}
	if err := t.say("DATA", "354 End data with <CR><LF>.<CR><LF>"); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(t.r.DotReader(), maxMail))
	if err != nil || len(b) == maxMail {
		return errEnd
	}
	m := Mail{t.from, t.to, t.user, string(b)}
	t.mail, t.to = false, ""
	f := t.s.desk.Next()
	if f.Reached != nil {
		f.Reached()
	}
	cut := f.Delay > 0 && !t.wait(f.Delay) || f.Reset
	reply := "250 2.0.0 Ok: queued"
	switch other := t.s.answer("."); {
	case other == "CUT":
		cut = true
		t.s.take(m)
	case other != "":
		reply = other
	case f.Status != 0:
		reply = fmt.Sprintf("%d %s", f.Status, strings.ReplaceAll(f.Body, "\n", " "))
	case t.s.cfg.Size > 0 && len(b) > t.s.cfg.Size:
		reply = "552 5.3.4 Message too big"
	case !cut:
		t.s.take(m)
	}
	// Who has the reply finds everything done.
	call := sim.Call{Method: "DATA", Path: m.To, Body: b, Proto: "SMTP"}
	if !cut {
		call.Status, _ = strconv.Atoi(reply[:3])
	}
	t.s.desk.Note(call)
	if cut {
		return errEnd
	}
	return t.say("", reply)
}

// wait lets time pass, until the server or the client ends: false then.
func (t *talk) wait(d time.Duration) bool {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = t.r.R.Peek(1) // a client that waits for its reply says nothing
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
		return false
	case <-t.s.ended:
		_ = t.conn.Close()
		<-gone
		return false
	}
	// Its reader goes on to wait for the next command: give it what it has.
	_ = t.conn.SetReadDeadline(time.Unix(1, 0))
	<-gone
	_ = t.conn.SetReadDeadline(time.Time{})
	return true
}
