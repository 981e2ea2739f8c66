package webhook

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/signed"
)

// hanging is an endpoint that does not answer.
type hanging struct{ calls chan time.Time }

func (hanging) Check(raw string) (*url.URL, error) { return url.Parse(raw) }

func (h hanging) Post(ctx context.Context, _ string, _ http.Header, _ []byte) (egress.Answer, error) {
	h.calls <- time.Now()
	<-ctx.Done()
	return egress.Answer{}, ctx.Err()
}

// memory is a record of one webhook with one event, which counts marks.
type memory struct {
	Store
	w     record.Webhook
	added []record.WebhookDelivery
	marks int
	purge int
}

func (m *memory) Webhooks(context.Context, herald.AppKey) ([]record.Webhook, error) {
	return []record.Webhook{m.w}, nil
}

func (m *memory) LeaseWebhook(context.Context, herald.AppKey, string, string, time.Time, time.Duration) (record.Webhook, error) {
	return m.w, nil
}

func (m *memory) OpenDeliveries(context.Context, herald.AppKey, string, int) ([]record.WebhookDelivery, error) {
	return nil, nil
}

func (m *memory) WebhookLog(_ context.Context, _ herald.AppKey, after uint64, _ int, each func(record.WebhookEntry) error) error {
	if after >= m.w.LogEnd {
		return nil
	}
	return each(record.WebhookEntry{N: 1, Epoch: 1, At: time.Now(), Ends: []record.WebhookEnd{{Msg: 7, State: herald.MessageExpired}}})
}

func (m *memory) DeviceNames(context.Context, herald.AppKey, []herald.Ordinal) (map[herald.Ordinal]record.DeviceName, error) {
	return nil, nil
}

func (m *memory) AddDeliveries(_ context.Context, list []record.WebhookDelivery, _ int64) ([]record.WebhookDelivery, error) {
	for i := range list {
		list[i].Seq = int64(i) + 1
	}
	m.added = append(m.added, list...)
	return list, nil
}

func (m *memory) MarkDeliveries(context.Context, herald.AppKey, string, []record.WebhookDelivery, int64, func(*record.Webhook)) error {
	m.marks++
	return nil
}

func (m *memory) PurgeWebhooks(context.Context, time.Time, int64, int) error {
	m.purge++
	return nil
}

func (m *memory) WebhookDone(context.Context, herald.AppKey) (uint64, uint64, error) {
	return 0, 0, nil
}

// TestStop has a server that stops while an endpoint hangs: it waits a little,
// and what was not answered is nobody's failure.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hanging{make(chan time.Time, 9)}
		s := New(Config{Egress: h, Seal: ring(t, "key"), Owner: "0"})
		m := &memory{w: record.Webhook{App: app, ID: "wh", URL: "https://example.com/", Events: []string{"message.expired"}, LogEnd: 1}}
		m.w.Secrets = []record.WebhookSecret{{Sealed: s.c.Seal.Seal(m.w.Place(), []byte(signed.NewSecret()))}}
		s.c.Store = m
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			s.Run(ctx)
			close(done)
		}()
		<-h.calls
		stop()
		begin := time.Now()
		<-done
		if took := time.Since(begin); took != grace || m.marks != 0 || len(m.added) != 1 || len(h.calls) != 0 {
			t.Errorf("it stopped after %v with %d marks and %d deliveries; %d more calls", took, m.marks, len(m.added), len(h.calls))
		}
	})
}

// TestPurges holds that the log is purged now and then.
func TestPurges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Egress: hanging{}, Seal: ring(t, "key"), Owner: "0"})
		m := &memory{}
		s.c.Store = m
		ctx, stop := context.WithTimeout(t.Context(), time.Hour+time.Minute)
		defer stop()
		s.Run(ctx)
		if m.purge != 6 {
			t.Errorf("purged %d times in an hour", m.purge)
		}
	})
}
