package livetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Get sends the request of a one-way transport, with the token in a header and
// the query given, and answers its response, whose body streams. A response
// that is a refusal is a *Refused. contentType is what the stream must be.
func Get(d Dial, contentType string, query url.Values, header http.Header) (*http.Response, error) {
	d.AddTopics(query)
	r := &http.Request{
		Method: http.MethodGet, Header: header.Clone(),
		URL: &url.URL{Scheme: "http", Host: "herald.test", Path: d.Path, RawQuery: query.Encode()},
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if d.Token != "" {
		r.Header.Set("Authorization", "Bearer "+d.Token)
	}
	if d.Origin != "" {
		r.Header.Set("Origin", d.Origin)
	}
	if err := r.Write(d.Conn); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(d.Conn), r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, ReadRefusal(resp)
	}
	return resp, CheckStream(resp, contentType)
}

// ReadRefusal reads a response that is not what was asked for. The error is a
// *Refused, beside what may be wrong with it.
func ReadRefusal(resp *http.Response) error {
	refused := &Refused{Status: resp.StatusCode}
	var document struct{ Code, Field string }
	err := json.NewDecoder(resp.Body).Decode(&document)
	refused.Code, refused.Field = document.Code, document.Field
	if after := resp.Header.Get("Retry-After"); after != "" && err == nil {
		refused.RetryAfter, err = strconv.Atoi(after)
	}
	return errors.Join(err, refused)
}

// CheckStream looks at the head of a stream.
func CheckStream(resp *http.Response, contentType string) error {
	for name, want := range map[string]string{"Content-Type": contentType, "Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"} {
		if name == "X-Accel-Buffering" && strings.HasPrefix(resp.Header.Get("Server"), "nginx") {
			continue // it is for nginx, which takes it out
		}
		if got := resp.Header.Get(name); got != want {
			return fmt.Errorf("livetest: %s is %q, want %q", name, got, want)
		}
	}
	return nil
}

// ParseLine reads a line of a protocol in which a frame is a line of JSON. A
// frame of type close is a *Closed.
func ParseLine(b []byte) (Frame, error) {
	var f struct {
		Frame
		Code json.RawMessage `json:"code"` // a word in an error, a number in a close
	}
	if err := decodeStrictly(b, &f); err != nil {
		return f.Frame, err
	}
	if f.Type == "close" {
		closed := &Closed{}
		return f.Frame, errors.Join(json.Unmarshal(f.Code, &closed.Code), closed)
	}
	if f.Code != nil {
		return f.Frame, json.Unmarshal(f.Code, &f.Frame.Code)
	}
	return f.Frame, nil
}

func decodeStrictly(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(to)
}
