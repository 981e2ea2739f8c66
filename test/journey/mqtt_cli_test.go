package journey_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mosquitto is a command of Debian's mosquitto-clients that speaks as a device.
func (b *broker) mosquitto(t *testing.T, name, version string, as mqttOpen, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	host, port, err := net.SplitHostPort(b.tcp)
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"-h", host, "-p", port, "-V", version, "-i", as.id, "-u", as.user, "-P", as.password}
	return exec.CommandContext(ctx, need(t, name), append(common, args...)...)
}

// does runs such a command to its end, and gives what it printed.
func (b *broker) does(t *testing.T, name, version string, as mqttOpen, args ...string) string {
	t.Helper()
	out, err := b.mosquitto(t, name, version, as, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// line is a publication as mosquitto_sub prints it with -F %j.
type line struct {
	Topic      string `json:"topic"`
	QoS        int    `json:"qos"`
	Retain     int    `json:"retain"`
	Payload    string `json:"payload"`
	Properties struct {
		ContentType string `json:"content-type"`
	} `json:"properties"`
}

func readLines(t *testing.T, out string) (list []line) {
	t.Helper()
	for text := range strings.Lines(out) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		list = append(list, l)
	}
	return list
}

// TestMosquittoClients drives mosquitto_pub, mosquitto_sub and mosquitto_rr.
func TestMosquittoClients(t *testing.T) {
	for _, kind := range brokers {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			b := kind.start(t)
			for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
				t.Run(version+"/kept", func(t *testing.T) { mosquittoKept(t, b, version) })
				t.Run(version+"/retained", func(t *testing.T) { mosquittoRetained(t, b, version) })
			}
			t.Run("now", func(t *testing.T) { mosquittoNow(t, b) })
			t.Run("request", func(t *testing.T) { mosquittoRequest(t, b) })
		})
	}
}

// mosquittoKept: a session that is kept gets what came meanwhile with QoS 1 and 2.
func mosquittoKept(t *testing.T, b *broker, version string) {
	sub, pub := b.member(t), b.member(t)
	topic := "demo/cli/" + version
	keep := []string{"-c", "-q", "2", "-t", topic + "/#"}
	if version == "mqttv5" {
		keep = append(keep, "-x", "600")
	}
	b.does(t, "mosquitto_sub", version, sub, append(slices.Clone(keep), "-E")...)
	for qos := range 3 {
		b.does(t, "mosquitto_pub", version, pub, "-t", fmt.Sprint(topic, "/", qos), "-q", fmt.Sprint(qos), "-m", "away")
	}
	got := readLines(t, b.does(t, "mosquitto_sub", version, sub, append(slices.Clone(keep), "-C", "2", "-W", "20", "-F", "%j")...))
	for i, l := range got {
		if l.Topic != fmt.Sprint(topic, "/", l.QoS) || l.QoS == 0 && b.server != nil || l.Payload != "away" || l.Retain != 0 {
			t.Errorf("%d is %+v", i, l)
		}
	}
}

func mosquittoRetained(t *testing.T, b *broker, version string) {
	sub, pub := b.member(t), b.member(t)
	topic := "demo/cli/retained/" + version
	b.does(t, "mosquitto_pub", version, pub, "-t", topic, "-q", "1", "-r", "-m", "kept")
	got := readLines(t, b.does(t, "mosquitto_sub", version, sub, "-t", "demo/cli/+/"+version, "-q", "1", "-C", "1", "-W", "20", "-F", "%j"))
	if len(got) != 1 || got[0].Retain != 1 || got[0].Payload != "kept" {
		t.Errorf("got %+v", got)
	}
	b.does(t, "mosquitto_pub", version, pub, "-t", topic, "-q", "1", "-r", "-n") // takes it away
	b.does(t, "mosquitto_pub", version, pub, "-t", topic+"/end", "-q", "1", "-r", "-m", "end")
	got = readLines(t, b.does(t, "mosquitto_sub", version, sub, "-t", topic+"/#", "-q", "1", "-C", "1", "-W", "20", "-F", "%j"))
	if len(got) != 1 || got[0].Payload != "end" {
		t.Errorf("then %+v", got)
	}
}

// mosquittoNow: one that is there gets it at once, by TLS and with properties.
func mosquittoNow(t *testing.T, b *broker) {
	_, port, err := net.SplitHostPort(b.tls)
	if err != nil {
		t.Fatal(err)
	}
	// It prints what it gets and nothing else: the first says that it is there.
	pub := b.member(t)
	b.does(t, "mosquitto_pub", "mqttv5", pub, "-t", "demo/now/here", "-r", "-m", "here")
	cmd := b.mosquitto(t, "mosquitto_sub", "mqttv5", b.member(t), "-p", port, "--cafile", b.ca, "-t", "demo/now/+", "-q", "2", "-F", "%j")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()         // it was killed
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || readLines(t, lines.Text())[0].Payload != "here" {
		t.Fatalf("it printed %q first: %s", lines.Text(), &complaints)
	}
	for qos := range 3 {
		// Each with a client ID of its own: mosquitto_pub ends when it has written
		// with QoS 0, and the next one with its ID takes the connection over, maybe
		// before that was read (MQTT-3.1.4-3).
		b.does(t, "mosquitto_pub", "mqttv5", b.member(t), "-t", fmt.Sprint("demo/now/", qos), "-q", fmt.Sprint(qos), "-m", `{"n":1}`, "-D", "publish", "content-type", "application/json")
	}
	seen := map[int]bool{}
	for len(seen) < 3 && lines.Scan() {
		l := readLines(t, lines.Text())[0]
		if l.Topic != fmt.Sprint("demo/now/", l.QoS) || l.Payload != `{"n":1}` || l.Properties.ContentType != "application/json" {
			t.Errorf("got %+v", l)
		}
		seen[l.QoS] = true
	}
	if len(seen) < 3 {
		t.Errorf("it ended after %v: %s", seen, &complaints)
	}
}

// mosquittoRequest: mosquitto_rr asks, and a client that reads the response
// topic answers.
func mosquittoRequest(t *testing.T, b *broker) {
	answers := newPaho(t)
	answers.open(t, b, b.member(t))
	answers.subscribe(t, "demo/rr/ask", 1)
	asked := make(chan string, 1)
	ask := b.mosquitto(t, "mosquitto_rr", "mqttv5", b.member(t), "-t", "demo/rr/ask", "-e", "demo/rr/answer", "-m", "how much", "-q", "1", "-W", "30")
	go func() {
		out, err := ask.CombinedOutput()
		if err != nil {
			out = fmt.Appendf(out, " (%v)", err)
		}
		asked <- string(out)
	}()
	q := awaitPublish(t, answers.tape(), 0, "demo/rr/ask", "how much")
	if q.Properties.ResponseTo != "demo/rr/answer" {
		t.Errorf("the request says %+v", q.Properties)
	}
	answers.publish(t, publication{Topic: q.Properties.ResponseTo, Payload: []byte("seven"), QoS: 1, Properties: &mqttMore{Correlation: q.Properties.Correlation}})
	if got := strings.TrimSpace(<-asked); got != "seven" {
		t.Errorf("the answer is %q", got)
	}
}
