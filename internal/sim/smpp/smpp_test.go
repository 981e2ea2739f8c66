package smpp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/sim"
	simsmpp "github.com/herald-push/herald/internal/sim/smpp"
	"github.com/herald-push/herald/internal/wire/smpp"
	"github.com/herald-push/herald/internal/wire/smstext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 2 * time.Minute

// client speaks to the simulator by hand.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	seq  uint32
}

type world struct {
	centre *simsmpp.Service
	desk   *sim.Desk
	server *simsmpp.Server
}

func newWorld(t *testing.T, c simsmpp.Config) *world {
	t.Helper()
	c.SystemID, c.Password = "me", "secret"
	w := &world{centre: simsmpp.New(c), desk: &sim.Desk{}}
	var err error
	if w.server, err = simsmpp.Serve(t.Context(), "127.0.0.1:0", w.desk, w.centre, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	return w
}

func (w *world) dial(t *testing.T) *client {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) say(p *smpp.PDU) {
	c.t.Helper()
	b, err := p.Append(nil)
	if err == nil {
		_, err = c.conn.Write(b)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear() *smpp.PDU {
	c.t.Helper()
	p, err := smpp.Read(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *client) ask(p smpp.PDU) *smpp.PDU {
	c.t.Helper()
	c.seq++
	p.Sequence = c.seq
	c.say(&p)
	a := c.hear()
	if a.Sequence != c.seq {
		c.t.Fatalf("%+v is no response to %+v", a, p)
	}
	return a
}

func (c *client) bind(command smpp.Command) {
	c.t.Helper()
	if a := c.ask(smpp.PDU{Command: command, Bind: &smpp.Bind{SystemID: "me", Password: "secret", Version: smpp.Version}}); a.Status != smpp.OK || a.Name == "" {
		c.t.Fatalf("%+v", a)
	}
}

// good is a message that is taken; change makes it another one.
func good(change func(*smpp.Message)) smpp.PDU {
	m := &smpp.Message{Dest: smpp.Party{TON: 1, NPI: 1, Address: "8613800138000"}, Text: []byte("hi")}
	if change != nil {
		change(m)
	}
	return smpp.PDU{Command: smpp.SubmitSM, Message: m}
}

func TestBinds(t *testing.T) {
	w := newWorld(t, simsmpp.Config{SystemType: "T"})
	for _, row := range []struct {
		id, password, kind string
		status             smpp.Status
	}{
		{"me", "secret", "T", smpp.OK}, {"you", "secret", "T", smpp.BadSystemID}, {"me", "wrong", "T", smpp.BadPassword}, {"me", "secret", "", smpp.BadSystemType},
	} {
		c := w.dial(t)
		if a := c.ask(good(nil)); a.Status != smpp.BadBindState {
			t.Errorf("before a bind: %+v", a)
		}
		bind := smpp.PDU{Command: smpp.BindTransceiver, Bind: &smpp.Bind{SystemID: row.id, Password: row.password, SystemType: row.kind}}
		if a := c.ask(bind); a.Status != row.status {
			t.Errorf("%+v: %s", row, a.Status)
		} else if a.Status != smpp.OK {
			if _, err := smpp.Read(c.r); err == nil {
				t.Error("a session that was refused goes on")
			}
			continue
		}
		if a := c.ask(bind); a.Status != smpp.AlreadyBound {
			t.Errorf("a second bind: %+v", a)
		}
	}
	w.centre.RefuseBinds(smpp.SystemError)
	if a := w.dial(t).ask(smpp.PDU{Command: smpp.BindReceiver, Bind: &smpp.Bind{SystemID: "me", Password: "secret", SystemType: "T"}}); a.Status != smpp.SystemError {
		t.Errorf("%+v", a)
	}
	if n := w.centre.Binds(); n != 1 {
		t.Errorf("%d sessions were opened", n)
	}
}

func TestSubmits(t *testing.T) {
	w := newWorld(t, simsmpp.Config{})
	w.centre.Remove("8613800138009", smpp.BadDestination)
	c := w.dial(t)
	c.bind(smpp.BindTransmitter)
	for name, row := range map[string]struct {
		change func(*smpp.Message)
		status smpp.Status
	}{
		"good":           {nil, smpp.OK},
		"no number":      {func(m *smpp.Message) { m.Dest.Address = "+86138" }, smpp.BadDestination},
		"gone":           {func(m *smpp.Message) { m.Dest.Address = "8613800138009" }, smpp.BadDestination},
		"type of number": {func(m *smpp.Message) { m.Dest.TON = 7 }, smpp.BadDestinationTON},
		"of the sender":  {func(m *smpp.Message) { m.Source.TON = 7 }, smpp.BadSourceTON},
		"validity":       {func(m *smpp.Message) { m.Validity = "1 hour" }, smpp.BadValidity},
		"coding":         {func(m *smpp.Message) { m.Coding = 4 }, smpp.UnknownError},
		"no text":        {func(m *smpp.Message) { m.Text = nil }, smpp.BadMessageLength},
		"161 characters": {func(m *smpp.Message) { m.Text = make([]byte, 161) }, smpp.BadMessageLength},
		"71 characters":  {func(m *smpp.Message) { m.Coding, m.Text = smpp.CodingUCS2, make([]byte, 142) }, smpp.BadMessageLength},
		"header":         {func(m *smpp.Message) { m.Class, m.Text = smpp.ClassUDH, []byte{5, 0, 3, 1, 2, 3, 'a'} }, smpp.BadClass},
	} {
		if a := c.ask(good(row.change)); a.Status != row.status || (a.Name != "") != (row.status == smpp.OK) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if got := w.centre.Taken(); len(got) != 1 || got[0].Text != "hi" || len(w.centre.Taken()) != 0 {
		t.Errorf("%+v", got)
	}
	if n := len(w.desk.Calls()); n != 11 {
		t.Errorf("%d calls", n)
	}
	for want, p := range map[smpp.Command]smpp.PDU{smpp.GenericNack: {Command: smpp.DeliverSM, Message: &smpp.Message{}}, smpp.EnquireLink.Response(): {Command: smpp.EnquireLink}} {
		if a := c.ask(p); a.Command != want {
			t.Errorf("%s is answered %+v", p.Command, a)
		}
	}
	c.seq++
	c.say(&smpp.PDU{Command: 0x103, Sequence: c.seq})
	if a := c.hear(); a.Command != smpp.GenericNack || a.Status != smpp.BadCommand || a.Sequence != c.seq {
		t.Errorf("%+v", a)
	}
	if a := c.ask(smpp.PDU{Command: smpp.Unbind}); a.Status != smpp.OK {
		t.Errorf("%+v", a)
	}
	if _, err := smpp.Read(c.r); err == nil {
		t.Error("a session goes on after its unbind")
	}
}

// TestPartsInAnyOrder has two messages whose parts come mixed.
func TestPartsInAnyOrder(t *testing.T) {
	w := newWorld(t, simsmpp.Config{})
	c := w.dial(t)
	c.bind(smpp.BindTransceiver)
	text := strings.Repeat("文", 200)
	parts := smstext.Split(text).Parts
	for _, n := range []int{2, 0, 1} {
		for ref := range byte(2) {
			a := c.ask(good(func(m *smpp.Message) {
				m.Class, m.Coding, m.Text = smpp.ClassUDH, smpp.CodingUCS2, append(smstext.Header(ref, byte(len(parts)), byte(n+1)), parts[n]...)
			}))
			if a.Status != smpp.OK {
				t.Fatalf("%+v", a)
			}
		}
	}
	got := w.centre.Taken()
	if len(got) != 2 || got[0].Text != text || got[1].Text != text || len(got[0].IDs) != 3 || got[0].IDs[0] != "00000003" {
		t.Errorf("%+v", got)
	}
}

// TestReceiptsWait: a receipt that was not answered waits for the next session.
func TestReceiptsWait(t *testing.T) {
	w := newWorld(t, simsmpp.Config{})
	w.centre.Remove("8613800138001", smpp.OK)
	sender := w.dial(t)
	sender.bind(smpp.BindTransmitter)
	for i, number := range []string{"8613800138000", "8613800138001"} {
		if a := sender.ask(good(func(m *smpp.Message) { m.Dest.Address, m.Registered = number, 1 })); a.Status != smpp.OK {
			t.Fatalf("%d: %+v", i, a)
		}
	}
	for range 2 { // the first session answers none
		receiver := w.dial(t)
		receiver.bind(smpp.BindReceiver)
		for _, want := range []smpp.Receipt{{ID: "00000001", State: smpp.Delivered, Err: "000"}, {ID: "00000002", State: smpp.Undeliverable, Err: "001"}} {
			if got, ok := smpp.ReadReceipt(receiver.hear()); !ok || got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		if w.centre.Owed() != 2 {
			t.Errorf("%d receipts are owed", w.centre.Owed())
		}
		_ = receiver.conn.Close()
		for end := time.Now().Add(patience); w.centre.Sessions() != 1; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the session does not end")
			}
		}
	}
	last := w.dial(t)
	last.bind(smpp.BindReceiver)
	for range 2 {
		last.say(last.hear().Respond(smpp.OK))
	}
	if a := last.ask(smpp.PDU{Command: smpp.EnquireLink}); a.Status != smpp.OK || w.centre.Owed() != 0 {
		t.Errorf("%d receipts are owed", w.centre.Owed())
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, simsmpp.Config{})
	c := w.dial(t)
	c.bind(smpp.BindTransceiver)
	w.desk.Fail(sim.Fault{Status: int(smpp.Throttled)}, sim.Fault{}, sim.Fault{Reset: true})
	if a := c.ask(good(nil)); a.Status != smpp.Throttled || a.Name != "" {
		t.Errorf("%+v", a)
	}
	if a := c.ask(good(nil)); a.Status != smpp.OK {
		t.Errorf("%+v", a)
	}
	p := good(nil)
	c.say(&p)
	if _, err := smpp.Read(c.r); err == nil {
		t.Error("there is an answer")
	}
	if calls := w.desk.Calls(); len(calls) != 3 || calls[0].Status != 0x58 || calls[0].Method != "submit_sm" || calls[0].Path != "8613800138000" || w.desk.Connections() != 1 {
		t.Errorf("%+v", calls)
	}
}

func TestServe(t *testing.T) {
	if _, err := simsmpp.Serve(t.Context(), "no address", &sim.Desk{}, simsmpp.New(simsmpp.Config{}), false); err == nil {
		t.Error("it serves nowhere")
	}
	s, err := simsmpp.Serve(t.Context(), "127.0.0.1:0", &sim.Desk{}, simsmpp.New(simsmpp.Config{SystemID: "me"}), true)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate)
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
	if a := c.ask(smpp.PDU{Command: smpp.BindTransceiver, Bind: &smpp.Bind{SystemID: "me"}}); a.Status != smpp.OK {
		t.Errorf("%+v", a)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := smpp.Read(c.r); err == nil {
		t.Error("a session outlives the simulator")
	}
	_ = conn.Close()
}
