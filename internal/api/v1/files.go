package v1

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const exampleFile = `{"id":"06dbnqfs00v8k3m1p2r4","name":"november","of":"aliases","lines":100000,"devices":134210,"unknown":12,"duplicates":3,"created_at":"2026-11-21T09:30:00Z","expires_at":"2026-12-21T09:30:00Z"}`

// maxUploadTime bounds an upload in all; each part of it has to come within
// Config.BodyTime.
const maxUploadTime = 10 * time.Minute

type fileInput struct {
	ID string `path:"id" pattern:"^[0-9a-v]{20}$" doc:"ID of the file, as POST /v1/files answered it." example:"06dbnqfs00v8k3m1p2r4"`
}

type uploadInput struct {
	Of   string `query:"of" enum:"registration_ids,aliases" doc:"What the lines are. May be left out if the first line is a header with a column of that name."`
	Name string `query:"name" maxLength:"128" doc:"Your own name for the list, shown in lists."`
}

type fileListInput struct {
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Files on a page."`
}

// addFiles adds the operations on uploaded lists.
func (a *API) addFiles() {
	register(a, operation{
		id: "uploadFile", method: "POST", path: "/v1/files", tag: "Segments and files", summary: "Upload a list of devices or aliases", status: http.StatusCreated, write: true,
		description: "Takes registration IDs or aliases, one on a line (`text/plain`) or in a column of a CSV file (`text/csv`), in UTF-8; at most 1,000,000 lines and 64 MiB, also compressed with gzip (`Content-Encoding: gzip`). " +
			"The names are resolved now: `{\"files\": [\"<id>\"]}` means the devices that had them at this time, and an alias that a device gives up later does not reach it any more. " +
			"What nobody has is counted as `unknown`; a line with no valid value refuses the list, and the error says which. A file is deleted 30 days after its last use. Needs the scope `messages:send`.",
		upload: []string{"text/csv", "text/plain", "multipart/form-data"}, example: "alias\nuser-1001\nuser-1002\n", answer: exampleFile,
		errors: []int{http.StatusUnprocessableEntity},
	}, a.uploadFile)
	register(a, operation{
		id: "listFiles", method: "GET", path: "/v1/files", tag: "Segments and files", summary: "List uploaded lists",
		description: "Shows files, newest first. Needs the scope `messages:send`.", answer: `{"files":[` + exampleFile + `]}`,
	}, func(ctx context.Context, x *exchange, in *fileListInput) (*reply[api.FilePage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Files.List(ctx, x.p, in.Cursor, limit))
	})
	register(a, operation{
		id: "getFile", method: "GET", path: "/v1/files/{id}", tag: "Segments and files", summary: "Show an uploaded list",
		description: "Shows what a file came to when it was uploaded; the names in it are not kept. Needs the scope `messages:send`.",
		answer:      exampleFile, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *fileInput) (*reply[api.FileView], error) {
		id, err := fileID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Files.Get(ctx, x.p, id))
	})
	register(a, operation{
		id: "deleteFile", method: "DELETE", path: "/v1/files/{id}", tag: "Segments and files", summary: "Delete an uploaded list", write: true,
		description: "Messages that were sent to it keep their targets; a scheduled one that names it is never sent. Needs the scope `messages:send`.",
		errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *fileInput) (*none, error) {
		id, err := fileID(in.ID)
		if err != nil {
			return nil, err
		}
		return gone(a.service.Files.Delete(ctx, x.p, id))
	})
}

// fileID is the ID of a file in a path.
func fileID(s string) (herald.FileID, error) {
	id := herald.FileID(s)
	if !id.Valid() {
		e := herald.Errorf(herald.CodeNotFound, "Use the id that POST /v1/files answered.", "%.40q is not the ID of a file", s)
		e.Field = "id"
		return "", e
	}
	return id, nil
}

// maxBytes is how large the body of a request may be.
func (op *operation) maxBytes() int64 {
	switch {
	case op.upload != nil:
		return api.MaxFileBytes
	case op.most != 0:
		return op.most
	}
	return herald.MaxRequestBytes
}

func (a *API) uploadFile(ctx context.Context, x *exchange, in *uploadInput) (*reply[api.FileView], error) {
	if err := a.service.Files.MayUpload(x.p); err != nil {
		return nil, err // before anything is read
	}
	return received(ctx, a, x, func(ctx context.Context, u api.Upload) (api.FileView, error) {
		u.Name, u.Of = in.Name, in.Of
		return a.service.Files.Upload(ctx, x.p, u)
	})
}

// received gives the list in the body of an exchange to take, as it comes.
func received[T any](ctx context.Context, a *API, x *exchange, take func(context.Context, api.Upload) (T, error)) (*reply[T], error) {
	ctx, cancel := context.WithTimeout(ctx, maxUploadTime)
	defer cancel()
	body := &arriving{ctx: ctx, control: http.NewResponseController(x.w.ResponseWriter), patience: a.cfg.BodyTime,
		// It closes the connection after a body that is too large, so that the
		// rest of it is not taken for the next request.
		r: http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, api.MaxFileBytes)}
	defer body.done()
	u, err := listOf(x.r.Header, body)
	if err != nil {
		return nil, err
	}
	list := &noted{r: u.Body}
	u.Body = list
	v, err := take(ctx, u)
	if err != nil && list.err != nil {
		err = arrivalError(x, list.err)
	}
	return answer(v, err)
}

// noted is a reader that keeps its error, so that what the caller did is told
// from what the server failed at.
type noted struct {
	r   io.Reader
	err error
}

func (n *noted) Read(b []byte) (int, error) {
	k, err := n.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return k, err
}

// arrivalError is told to the sender of a list that did not arrive.
func arrivalError(x *exchange, err error) error {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over), errors.Is(err, errInflated):
		return tooLarge(api.MaxFileBytes)
	}
	x.w.Header().Set("Connection", "close")
	return &refused{&herald.Error{Code: herald.CodeInvalidRequest, Message: "the list did not arrive whole and in time",
		Remedy: "Send the request again; if it is compressed or in parts, check that it is well-formed.", Err: err}, http.StatusBadRequest}
}

// listOf finds the list in a body, by the headers that describe it.
func listOf(h http.Header, body io.Reader) (u api.Upload, err error) {
	switch c := strings.ToLower(h.Get("Content-Encoding")); c {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return u, refusal(http.StatusBadRequest, herald.CodeInvalidRequest, "Compress the body with gzip, or leave out Content-Encoding.", "the body is not gzip")
		}
		body = &bounded{z, api.MaxFileBytes}
	default:
		return u, refusal(http.StatusUnsupportedMediaType, herald.CodeInvalidRequest, "Send the list with gzip or without compression.", "the body has the content encoding %.40q", c)
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err == nil && media == "multipart/form-data" && params["boundary"] != "" {
		return partOf(multipart.NewReader(body, params["boundary"]))
	}
	u.Body = body
	if u.CSV, err = isCSV(h.Get("Content-Type")); err != nil {
		return u, err
	}
	return u, nil
}

// isCSV reads the media type of a list.
func isCSV(v string) (bool, error) {
	media, params, err := mime.ParseMediaType(v)
	if charset := params["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") || media != "text/csv" && media != "text/plain" {
		return false, refusal(http.StatusUnsupportedMediaType, herald.CodeInvalidRequest, "Send text/csv or text/plain in UTF-8, or a form with such a file.", "the list has the content type %.80q", v)
	}
	return media == "text/csv", nil
}

// partOf finds the part "file" of a form (RFC 7578). A browser may not know
// the type of a file; its name says it then.
func partOf(form *multipart.Reader) (u api.Upload, err error) {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return u, herald.Invalid("file", "Send the list as the part named file.", "the form has no part named file")
		}
		if err != nil {
			return u, refusal(http.StatusBadRequest, herald.CodeInvalidRequest, "Send a form as RFC 7578 has it.", "the form is malformed")
		}
		if part.FormName() != "file" {
			continue
		}
		u.Body = part
		if u.CSV, err = isCSV(part.Header.Get("Content-Type")); err != nil {
			name := strings.ToLower(part.FileName())
			if u.CSV = strings.HasSuffix(name, ".csv"); !u.CSV && !strings.HasSuffix(name, ".txt") {
				return u, err
			}
		}
		return u, nil
	}
}

// arriving is a body whose sender may be slow, as long as something comes.
type arriving struct {
	r        io.Reader
	ctx      context.Context
	control  *http.ResponseController
	patience time.Duration
}

func (a *arriving) Read(b []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	// Not every connection has deadlines.
	_ = a.control.SetReadDeadline(time.Now().Add(a.patience))
	return a.r.Read(b)
}

// done lifts the deadline; see readBody.
func (a *arriving) done() { _ = a.control.SetReadDeadline(time.Time{}) }

// errInflated says that a body grows too large when it is decompressed.
var errInflated = errors.New("v1: the body is too large when it is decompressed")

// bounded is a reader that fails after some bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (l *bounded) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errInflated
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}
