package webpush

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/provider"
)

func from64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVector is the example of RFC 8291, appendix A.
func TestVector(t *testing.T) {
	const token = `{"endpoint":"https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV","keys":{` +
		`"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`
	s, err := readSubscription(token)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ecdh.P256().NewPrivateKey(from64(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.sealWith(own, from64(t, "DGv6ra1nlYgDCS1FRnbzlw"), []byte("When I grow up, I want to be a watermelon"))
	want := from64(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	if err != nil || !bytes.Equal(body, want) {
		t.Errorf("%x, %v\nwant %x", body, err, want)
	}
}

// TestSize: the longest text makes a body that each push service takes.
func TestSize(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &subscription{endpoint: &url.URL{}, key: key.PublicKey(), auth: make([]byte, authSize)}
	a, err := s.seal(make([]byte, maxPayload))
	if err != nil || len(a) != recordSize || maxPayload != 3993 {
		t.Errorf("%d bytes of %d, %v", len(a), maxPayload, err)
	}
	b, err := s.seal(make([]byte, maxPayload))
	if err != nil || bytes.Equal(a[:saltSize], b[:saltSize]) || bytes.Equal(a[saltSize+5:saltSize+5+keySize], b[saltSize+5:saltSize+5+keySize]) {
		t.Errorf("two messages share a salt or a key, %v", err)
	}
}

const (
	goodPoint = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	goodAuth  = "BTBZMqHH6r4Tts7J_aSIgg"
)

func subscriptionText(t *testing.T, endpoint, point, auth string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"endpoint": endpoint, "expirationTime": nil, "keys": map[string]string{"p256dh": point, "auth": auth}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadSubscription(t *testing.T) {
	const endpoint = "https://updates.push.services.mozilla.com/wpush/v2/gAAA"
	standard := strings.NewReplacer("-", "+", "_", "/").Replace
	for name, tt := range map[string]struct {
		token string
		says  string // "" for a good one
	}{
		"good":               {subscriptionText(t, endpoint, goodPoint, goodAuth), ""},
		"padding":            {subscriptionText(t, endpoint, goodPoint+"=", goodAuth+"=="), ""},
		"standard base64":    {subscriptionText(t, endpoint, standard(goodPoint)+"=", standard(goodAuth)+"=="), ""},
		"no JSON":            {"f5cEuT:APA91b", "not JSON"},
		"a list":             {"[]", "not JSON"},
		"no keys":            {`{"endpoint":"` + endpoint + `"}`, "p256dh"},
		"no endpoint":        {subscriptionText(t, "", goodPoint, goodAuth), "endpoint"},
		"no host":            {subscriptionText(t, "https:///x", goodPoint, goodAuth), "endpoint"},
		"another scheme":     {subscriptionText(t, "ftp://example.com/x", goodPoint, goodAuth), "endpoint"},
		"no URL":             {subscriptionText(t, "https://\x00", goodPoint, goodAuth), "endpoint"},
		"no base64":          {subscriptionText(t, endpoint, "!", goodAuth), "p256dh"},
		"no point":           {subscriptionText(t, endpoint, goodPoint[:80], goodAuth), "point"},
		"off the curve":      {subscriptionText(t, endpoint, goodPoint[:86]+"A", goodAuth), "point"},
		"a short auth":       {subscriptionText(t, endpoint, goodPoint, goodAuth[:20]), "auth"},
		"auth is not base64": {subscriptionText(t, endpoint, goodPoint, "!"), "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := readSubscription(tt.token)
			if tt.says == "" {
				if err != nil || s.endpoint.String() != endpoint || !bytes.Equal(s.auth, from64(t, goodAuth)) {
					t.Errorf("%+v, %v", s, err)
				}
				return
			}
			if provider.KindOf(err) != provider.Unregistered || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one of %s", err, tt.says)
			}
		})
	}
}

func FuzzReadSubscription(f *testing.F) {
	f.Add(`{"endpoint":"https://a.example/x","keys":{"p256dh":"` + goodPoint + `","auth":"` + goodAuth + `"}}`)
	f.Add(`{"endpoint":7}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, token string) {
		s, err := readSubscription(token)
		if err != nil {
			if provider.KindOf(err) != provider.Unregistered {
				t.Fatal(err)
			}
			return
		}
		if body, err := s.seal([]byte("x")); err != nil || len(body) != 86+1+17 || s.endpoint.Host == "" {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add([]byte(`{"code":410,"errno":106,"error":"Gone","message":"m"}`))
	f.Add([]byte(`{"reason":"BadJwtToken"}`))
	f.Add([]byte("the key in the authorization header does not correspond"))
	f.Add([]byte(`{"errno":1e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if code, _ := words(body); len(code) > 100 {
			t.Fatalf("a code of %d bytes", len(code))
		}
	})
}
