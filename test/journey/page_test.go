package journey_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// page is the demo page, open in Chromium.
type page struct {
	helper *helper
	name   string
}

// openPage opens the link that the server printed; options go to browser.mjs.
func openPage(t *testing.T, link string, options object) *page {
	t.Helper()
	p := &page{useHelper(t, "browser.mjs"), "page-" + herald.NewSecret(8)}
	t.Cleanup(func() { p.do(t, "forget", nil) })
	command := object{"url": link}
	for k, v := range options {
		command[k] = v
	}
	p.do(t, "goto", command)
	return p
}

func (p *page) do(t *testing.T, command string, more object) json.RawMessage {
	t.Helper()
	c := object{"cmd": command, "client": p.name}
	for k, v := range more {
		c[k] = v
	}
	return p.helper.ask(t, c)
}

func (p *page) wait(t *testing.T, selector string) {
	t.Helper()
	p.do(t, "wait", object{"selector": selector})
}

func (p *page) click(t *testing.T, selector string) {
	t.Helper()
	p.do(t, "click", object{"selector": selector})
}

func (p *page) fill(t *testing.T, selector, text string) {
	t.Helper()
	p.do(t, "fill", object{"selector": selector, "text": text})
}

func (p *page) text(t *testing.T, selector string) string {
	t.Helper()
	var text string
	if err := json.Unmarshal(p.do(t, "text", object{"selector": selector}), &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// clean checks that no script failed and the policy blocked nothing.
func (p *page) clean(t *testing.T) {
	t.Helper()
	list, _ := p.helper.tape(p.name).all()
	for _, e := range list {
		t.Errorf("the page reported: %s", e)
	}
}

const connected = "html[data-phase=connected]"

func TestDemoPage(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.link, nil)
	p.wait(t, connected+"[data-transport=websocket]")
	id := p.text(t, "#device-id")
	if !herald.RegistrationID(id).Valid() {
		t.Fatalf("the page shows %q as its registration ID", id)
	}
	if text := p.text(t, "#pill-text"); text != "Connected over WebSocket" {
		t.Errorf("the page says %q", text)
	}
	if text := p.text(t, "#empty"); !strings.Contains(text, binary+" --data "+filepath.Join(s.dir, "herald-data")+` push "Hello"`) {
		t.Errorf("the empty page does not say how to push: %q", text)
	}

	t.Run("shows what curl sends", func(t *testing.T) {
		out, err := exec.Command(need(t, "curl"), "-sS", "-u", s.context.AppKey+":"+s.context.MasterSecret, s.url+"/v1/messages",
			"-H", "Content-Type: application/json",
			"-d", `{"audience":"all","notification":{"title":"From curl","body":"<b>as text</b>"},"data":{"order":7}}`).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var m sent
		if err := json.Unmarshal(out, &m); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		card := `[data-id="` + m.ID + `"]`
		p.wait(t, card)
		text := p.text(t, card)
		for _, want := range []string{"From curl", "<b>as text</b>", `"order":7`, "by WebSocket"} {
			if !strings.Contains(text, want) {
				t.Errorf("the card lacks %q: %s", want, text)
			}
		}
		p.wait(t, card+"[data-confirmed=displayed]")
		s.awaitCounts(t, m.ID, "displayed", func(n counts) bool { return n.Received == 1 && n.Displayed == 1 && n.Clicked == 0 })
		p.click(t, card+" .open")
		p.wait(t, card+"[data-confirmed=clicked]")
		s.awaitCounts(t, m.ID, "clicked", func(n counts) bool { return n.Clicked == 1 })
		p.click(t, card+" .trace summary")
		p.wait(t, card+" .trace-body li >> nth=5")
		trace := p.text(t, card+" .trace-body")
		for _, want := range []string{"accepted", "websocket", m.ID} {
			if !strings.Contains(trace, want) {
				t.Errorf("the trace lacks %q: %s", want, trace)
			}
		}
	})

	t.Run("sends to itself", func(t *testing.T) {
		p.fill(t, "#f-title", "To myself")
		p.click(t, "#send-button")
		p.wait(t, "#send-result[data-kind=accepted]")
		if text := p.text(t, "#send-result"); !strings.Contains(text, "yes, on stable storage") {
			t.Errorf("the answer is shown as %q", text)
		}
		p.wait(t, `.message:has-text("To myself")[data-confirmed=displayed]`)
	})

	t.Run("says why it does not send", func(t *testing.T) {
		p.fill(t, "#f-title", strings.Repeat("é", 500))
		p.fill(t, "#f-body", strings.Repeat("word ", 8000)) // more than 32 KiB
		p.click(t, "#send-button")
		p.wait(t, "#send-result[data-kind=refused]")
		if lines := strings.Split(strings.TrimSpace(p.text(t, "#send-result")), "\n"); len(lines) < 3 {
			t.Errorf("no reason or no remedy: %q", lines)
		}
	})

	t.Run("takes a withdrawn message away", func(t *testing.T) {
		m := s.push(t, "A mistake", 1)
		card := `[data-id="` + m.ID + `"]`
		p.wait(t, card)
		s.call(t, "DELETE", "/v1/messages/"+m.ID, s.basic(), nil)
		p.wait(t, card+"[data-state=withdrawn]")
		if text := p.text(t, card); strings.Contains(text, "A mistake") {
			t.Errorf("the content is still there: %q", text)
		}
	})

	t.Run("over server-sent events", func(t *testing.T) {
		p.click(t, `#transports label:has-text("SSE")`)
		p.wait(t, connected+"[data-transport=sse]")
		m := s.push(t, "By SSE", 1)
		p.wait(t, `[data-id="`+m.ID+`"][data-via=sse][data-confirmed=displayed]`)
	})

	for _, tt := range []struct{ label, transport string }{{"Long poll", "poll"}, {"Short poll", "shortpoll"}} {
		t.Run("over "+strings.ToLower(tt.label), func(t *testing.T) {
			p.click(t, `#transports label:has-text("`+tt.label+`")`)
			p.wait(t, connected+"[data-transport="+tt.transport+"]")
			m := s.push(t, "By "+tt.label, 1)
			p.wait(t, `[data-id="`+m.ID+`"][data-via=`+tt.transport+`][data-confirmed=displayed]`)
		})
	}

	t.Run("says how to connect without a browser", func(t *testing.T) {
		p.click(t, ".others summary")
		for id, want := range map[string]string{"stream-line": "/v1/live/stream", "tcp-line": "| nc "} {
			if text := p.text(t, "#"+id); !strings.Contains(text, want) || !strings.Contains(text, "hd1.") {
				t.Errorf("%s: %q, want %q and the token in it", id, text, want)
			}
		}
	})

	t.Run("shows who is in the room and what is said", func(t *testing.T) {
		p.click(t, `#transports label:has-text("WebSocket")`)
		p.wait(t, connected+"[data-transport=websocket]")
		p.wait(t, `#room-count:has-text("1 device here")`)
		s.call(t, "POST", "/v1/publish", s.basic(), object{"topic": "demo/room", "data": object{"text": "<i>Hello</i>, room"}})
		p.wait(t, `#room-said li:has-text("<i>Hello</i>, room"):has-text("app server")`)
		// herald dev has allowed that.
		p.fill(t, "#room-text", "Allowed")
		p.click(t, "#room-form button")
		p.wait(t, `#room-said li:has-text("Allowed"):has-text("`+id[len(id)-6:]+`")`)
		s.call(t, "PATCH", "/v1/app", s.basic(), object{"topics": object{"publish": []string{}}})
		p.fill(t, "#room-text", "Not any more")
		p.click(t, "#room-form button")
		p.wait(t, `#room-result[data-kind=refused]:has-text("topics.publish")`)
		s.call(t, "PATCH", "/v1/app", s.basic(), object{"topics": object{"publish": []string{"demo/#"}}})
		p.fill(t, "#room-text", "Again")
		p.click(t, "#room-form button")
		p.wait(t, `#room-said li:has-text("Again")`)
		p.wait(t, "#room-result:not([data-kind])")
	})

	t.Run("keeps its list and its name over a reload", func(t *testing.T) {
		p.do(t, "reload", nil)
		p.wait(t, connected)
		if again := p.text(t, "#device-id"); again != id {
			t.Errorf("registration ID %s after the reload, %s before", again, id)
		}
		p.wait(t, `.message:has-text("From curl")`)
	})
	p.clean(t)
}

func TestDemoPageComesBack(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.link, nil)
	p.wait(t, connected)
	s.kill(t)
	p.wait(t, "html[data-phase=waiting] #notice:not([hidden])")
	s.start(t, s.address(t))
	m := s.push(t, "Meanwhile", 1)
	p.wait(t, connected)
	p.wait(t, `[data-id="`+m.ID+`"]`)
	p.clean(t)
}

func TestDemoPageWithoutWebSocket(t *testing.T) {
	s := startServer(t)
	p := openPage(t, s.link, object{"broken": "websocket"})
	p.wait(t, connected+"[data-transport=sse]")
	m := s.push(t, "Through a proxy", 1)
	p.wait(t, `[data-id="`+m.ID+`"][data-via=sse]`)
	p.clean(t)
}

func TestDemoPageSpeaksTheBrowsersLanguage(t *testing.T) {
	s := startServer(t)
	for _, tt := range []struct{ locale, lang, pill string }{
		{"zh-CN", "zh-CN", "已连接（WebSocket）"},
		{"zh-TW", "zh-CN", "已连接（WebSocket）"},
		{"en-US", "en", "Connected over WebSocket"},
		{"fr-FR", "en", "Connected over WebSocket"},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			p := openPage(t, s.link, object{"locale": tt.locale, "width": 360})
			p.wait(t, connected)
			p.wait(t, `html[lang="`+tt.lang+`"]`)
			if got := p.text(t, "#pill-text"); got != tt.pill {
				t.Errorf("the page says %q, want %q", got, tt.pill)
			}
			p.clean(t)
		})
	}
}

func TestDemoPageWithoutAGoodLink(t *testing.T) {
	s := startServer(t)
	for _, tt := range []struct{ name, fragment, phase, says string }{
		{"no token", "", "nolink", binary + " --data " + filepath.Join(s.dir, "herald-data") + " dev"},
		{"a wrong token", "#wrong", "refused", "Start herald dev again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := openPage(t, s.url+"/demo/"+tt.fragment, nil)
			p.wait(t, "html[data-phase="+tt.phase+"]")
			if text := p.text(t, "#notice"); !strings.Contains(text, tt.says) {
				t.Errorf("the notice is %q, want %q in it", text, tt.says)
			}
		})
	}
}

// Every state of the page × widths × themes × languages.
func TestDemoPageAccessibility(t *testing.T) {
	s := startServer(t)
	out, err := script(t, true, "axe.mjs", s.link).Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			out = append(out, ended.Stderr...)
		}
		t.Fatalf("%v:\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var summary struct{ Audits, Bad int }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &summary); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if summary.Audits != 64 || summary.Bad != 0 {
		t.Errorf("%d audits with %d serious findings, want 64 with none", summary.Audits, summary.Bad)
	}
}
