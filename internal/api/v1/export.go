package v1

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-push/herald"
)

// form is what a list is answered as: a page of JSON, or all of it as a stream.
type form string

const (
	asPage   form = "json"
	asCSV    form = "csv"    // RFC 4180
	asNDJSON form = "ndjson" // one JSON object a line
)

// mediaTypes are those of the forms, in the order in which they are preferred.
var mediaTypes = []struct {
	form  form
	media string
}{{asPage, "application/json"}, {asNDJSON, "application/x-ndjson"}, {asCSV, "text/csv"}}

// maxHeavy is how many exports and reports are worked on at a time: each reads
// much, and holds some megabytes.
const maxHeavy = 8

// FormInput is the parameter of operations that also export. It is exported
// because huma does not look into what is not.
type FormInput struct {
	Format string `query:"format" enum:"json,csv,ndjson" doc:"json answers a page; csv (RFC 4180, UTF-8, with a header) and ndjson (an object a line) stream the whole list from the cursor on. Left out, the Accept header decides. A stream that ends early ends with a broken connection. In CSV a text that begins with = + - @ or a control character has an apostrophe before it, so that no spreadsheet takes it for a formula."`
}

// chooseForm decides what a list is answered as; for other operations it only
// checks that the caller takes JSON.
func (x *exchange) chooseForm() error {
	x.as = asPage
	if x.op.list == nil {
		media := jsonMedia
		if x.isLines() {
			media = linesMedia // the answer has the form of the body
		}
		return acceptable(x.r.Header, media)
	}
	if q, err := parseQuery(x.r.URL); err == nil && q.Has("format") {
		f := form(q.Get("format"))
		if f != asPage && f != asCSV && f != asNDJSON {
			return herald.Invalid("format", "Write json, csv or ndjson.", "%.20q is not a format", string(f))
		}
		x.as = f
		return nil
	}
	var ok bool
	if x.as, ok = preferred(x.r.Header); !ok {
		return refusal(http.StatusNotAcceptable, herald.CodeInvalidRequest, "Accept application/json, application/x-ndjson or text/csv.", "this operation answers with none of the media types in Accept")
	}
	return nil
}

// preferred chooses a form by the Accept header (RFC 9110, section 12.5.1).
func preferred(h http.Header) (best form, ok bool) {
	values := h.Values("Accept")
	if len(values) == 0 {
		return asPage, true
	}
	most := 0.0
	for _, t := range mediaTypes {
		kind, _, _ := strings.Cut(t.media, "/")
		exact, weight := 0, 0.0
		for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
			media, params, err := mime.ParseMediaType(item)
			match := map[string]int{"*/*": 1, kind + "/*": 2, t.media: 3}[media]
			if err != nil || match == 0 || match < exact {
				continue
			}
			exact, weight = match, 1
			if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
				weight = q
			}
		}
		if weight > most {
			best, most = t.form, weight
		}
	}
	return best, most > 0
}

// listed is the output of an operation that also exports.
type listed struct {
	Body func(huma.Context)
}

// page answers a list as one page.
func page[T any](x *exchange, v T, err error) (*listed, error) {
	if err != nil {
		return nil, err
	}
	return &listed{func(huma.Context) {
		x.w.Header().Set("Content-Type", "application/json")
		_ = marshal(x.w, v) // a client that is gone is told nothing
	}}, nil
}

// table is how a list is written as CSV.
type table[T any] struct {
	name   string // of the file
	header []string
	cells  func(T) []string
}

// begin takes a place for heavy work, or refuses.
func (a *API) begin() (done func(), err error) {
	select {
	case a.heavy <- struct{}{}:
		return func() { <-a.heavy }, nil
	default:
		return nil, &herald.Error{Code: herald.CodeRateLimited, Message: "too many exports and reports are under way",
			Remedy: "Repeat the request when one of them has ended.", RetryAfter: drainPause}
	}
}

// export answers a list as a stream. What list says at once is answered like
// any error; what comes later breaks the connection, because half a list must
// not look like a whole one.
func export[T any](a *API, x *exchange, t table[T], list func() (iter.Seq2[[]T, error], error)) (*listed, error) {
	done, err := a.begin()
	if err != nil {
		return nil, err
	}
	all, err := list()
	if err != nil {
		done()
		return nil, err
	}
	return &listed{func(huma.Context) {
		defer done()
		if err := stream(a, x, t, all); err != nil {
			a.cfg.Log.LogAttrs(x.r.Context(), slog.LevelWarn, "an export was broken off", slog.String("request_id", x.id),
				slog.String("operation", x.operation()), slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

func stream[T any](a *API, x *exchange, t table[T], all iter.Seq2[[]T, error]) error {
	h := x.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	if x.as == asCSV {
		h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	}
	h.Set("Content-Disposition", `attachment; filename="herald-`+t.name+`.`+string(x.as)+`"`)
	to := bufio.NewWriterSize(x.w, 64<<10)
	write := lines[T](to)
	if x.as == asCSV {
		var err error
		if write, err = rows(to, t); err != nil {
			return err
		}
	}
	control := http.NewResponseController(x.w.ResponseWriter)
	for some, err := range all {
		if err == nil && a.cfg.Draining() {
			err = herald.Errorf(herald.CodeDraining, "Ask another node, or this one after its restart.", "this node is going away")
		}
		if err != nil {
			return err
		}
		// Each part has its own time to be taken; a reader who takes none loses
		// the connection. Not every connection has deadlines.
		_ = control.SetWriteDeadline(time.Now().Add(a.cfg.BodyTime))
		if err := write(some); err != nil {
			return err
		}
		if err := to.Flush(); err != nil {
			return err
		}
		_ = control.Flush()
	}
	x.w.finish() // an empty list has a head, too
	return to.Flush()
}

// lines writes an object a line.
func lines[T any](to io.Writer) func([]T) error {
	return func(some []T) error {
		enc := json.NewEncoder(to)
		for _, v := range some {
			if err := enc.Encode(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// rows writes CSV (RFC 4180), and its header at once.
func rows[T any](to io.Writer, t table[T]) (func([]T) error, error) {
	w := csv.NewWriter(to)
	w.UseCRLF = true
	if err := w.Write(t.header); err != nil {
		return nil, err
	}
	w.Flush()
	return func(some []T) error {
		for _, v := range some {
			cells := t.cells(v)
			for i := range cells {
				cells[i] = harmless(cells[i])
			}
			if err := w.Write(cells); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	}, w.Error()
}

// harmless keeps a spreadsheet from taking a text for a formula: it puts an
// apostrophe before what begins like one.
func harmless(cell string) string {
	if cell != "" && (strings.IndexByte("=+-@", cell[0]) >= 0 || cell[0] < ' ') {
		return "'" + cell
	}
	return cell
}

// documentForms describes the good answer of an operation that also exports.
func (a *API) documentForms(op *operation, r *huma.Response) {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(typeOf(op.list), true, "")
	text := &huma.Schema{Type: huma.TypeString}
	r.Content = map[string]*huma.MediaType{
		"application/json": {Schema: schema}, "application/x-ndjson": {Schema: text}, "text/csv": {Schema: text},
	}
}

// cell functions write values that may be missing.

func timeCell(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func jsonCell(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of strings
	}
	return string(b)
}

func countCell(n int64) string { return strconv.FormatInt(n, 10) }

func stringsOf[S ~string](list []S) string {
	if len(list) == 0 {
		return ""
	}
	return jsonCell(slices.Clone(list))
}
