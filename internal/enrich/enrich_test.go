package enrich

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func TestDates(t *testing.T) {
	for in, want := range map[string]string{
		"2020-05-01T12:00:00Z": "2020-05-01T12:00:00Z", "2020-05-01T12:00:00.0Z": "2020-05-01T12:00:00Z", "2016-04-11T11:09:54+02:00": "2016-04-11T09:09:54Z",
		"2024-09-03T17:12:28.647770+00:00": "2024-09-03T17:12:28Z", "2018-11-02 11:29:08+02": "2018-11-02T09:29:08Z", "2018-05-19 12:18:44.329522": "2018-05-19T12:18:44Z",
		"26.03.2008 16:18:03": "2008-03-26T16:18:03Z", "19.3.2019": "2019-03-19T00:00:00Z", "1999.10.27 13:00:00": "1999-10-27T13:00:00Z", "2017.03.27": "2017-03-27T00:00:00Z",
		"05-Dec-2020": "2020-12-05T00:00:00Z", "13-mar-2007": "2007-03-13T00:00:00Z", "29-APR-05": "2005-04-29T00:00:00Z", "before Aug-1996": "1996-08-01T00:00:00Z",
		"05-Oct-1997 04:00:00 UTC": "1997-10-05T04:00:00Z", "2001-Aug-23.": "2001-08-23T00:00:00Z", "20110426 17:57:27": "2011-04-26T17:57:27Z", "19990518 #162310": "1999-05-18T00:00:00Z",
		"20190417": "2019-04-17T00:00:00Z", "05-06-1999": "1999-06-05T00:00:00Z", "30/10/2002 00:00:00": "2002-10-30T00:00:00Z", "2025/05/29 10:45:59 (JST)": "2025-05-29T01:45:59Z",
		"2002-10-22 17:48:23 CLST": "2002-10-22T20:48:23Z", "Tue Feb 10 09:42:42 2004": "2004-02-10T09:42:42Z", "Wed Mar  5 00:13:49 2025": "2025-03-05T00:13:49Z",
		"2009-07-01 12:44:02 (GMT+0:00)": "2009-07-01T12:44:02Z", "2019-11-09 (YYYY-MM-DD)": "2019-11-09T00:00:00Z",
		"": "", "see at www.register.example": "", "0001-01-01": "", "9999-12-31": "", "2020-13-01": "", "2020-05-01 12:00 XYZ": "", "20190417 ()": "",
	} {
		if got := parseDate(in); string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// answers are small answers of our own, one for each layout.
var answers = map[string]struct{ name, answer, want string }{
	"registry then registrar": {"", `
   Server Name: SHOP.EXAMPLE.EVIL.EXAMPLE
   Registrar: EVIL, INC.

   Domain Name: SHOP.EXAMPLE
   Registrar: ONE, INC.
   Name Server: NS1.EXAMPLE.NET
   Status: clientHold
   Creation Date: 20-feb-2000
>>> Last update of whois database: Thu, 26 Jun 2008 21:39:08 UTC <<<
Registrant:
   Jane Doe
   Domain Name: SHOP.EXAMPLE
   Record created on 1999-02-20.
   Record expires on 2010-02-20.
   Domain servers in listed order:
      NS9.EXAMPLE.NET

Example.net - we sell domains`,
		`{"domain_name":"shop.example","registrar":"ONE, INC.","created":"2000-02-20T00:00:00Z","updated":null,"expires":"2010-02-20T00:00:00Z","name_servers":["ns1.example.net"],"status":["clientHold"]}`},
	"headings": {"", `    Domain name:
        shop.example

    Registrar:
        One Ltd [Tag = ONE]
        URL: https://one.example

    Relevant dates:
        Registered on: before Aug-1996
        Last updated:  23-Oct-2013

    Registration status:
        Registered until expiry date.

    Name servers:
        ns1.example.net           192.0.2.1  2001:db8::1
        ns2.example.net (2001:db8::2)
`,
		`{"domain_name":"shop.example","registrar":"One Ltd","created":"1996-08-01T00:00:00Z","updated":"2013-10-23T00:00:00Z","expires":null,"name_servers":["ns1.example.net","ns2.example.net"],"status":["Registered until expiry date"]}`},
	"objects": {"", "domain: shop.example\r\nregistrar: REG-1\r\nnsset: SET-1\r\nstatus: Update forbidden\r\nchanged: a@b.example 20200102\r\nchanged: a@b.example 20210102 (Changed)\r\n\r\n" +
		"contact: C-1\r\nname: Jane Doe\r\ncreated: 03.06.2011\r\nchanged: 28.03.2023\r\nstatus: linked\r\n\r\nnsset: SET-1\r\nnserver: ns1.example.net\r\ncreated: 03.06.2012\r\n",
		`{"domain_name":"shop.example","registrar":"REG-1","created":null,"updated":"2021-01-02T00:00:00Z","expires":null,"name_servers":["ns1.example.net"],"status":["Update forbidden"]}`},
	"registrar in a block of its own": {"", "domain: shop.example\nmnt-by: ex.one\nnserver: ns1.example.net\ncreated: 2020-01-01 00:00:00+02\n\n% Registrar:\nregistrar: ex.one\norganization: One Ltd\ncountry: US\n\n% Registrant:\nperson: Jane Doe\norganization: Other Ltd\n",
		`{"domain_name":"shop.example","registrar":"One Ltd","created":"2019-12-31T22:00:00Z","updated":null,"expires":null,"name_servers":["ns1.example.net"],"status":[]}`},
	"registrar by handle": {"", "Domain: shop.example\nRegistrar: ONE-1\nCreated: 2020-01-01\n\nRegistrar: ONE-1\nName: Jane Doe\nOrganization: One Ltd\nCreated: 2017-09-01\n\nContact: X\nOrganization: Other Ltd\n",
		`{"domain_name":"shop.example","registrar":"One Ltd","created":"2020-01-01T00:00:00Z","updated":null,"expires":null,"name_servers":[],"status":[]}`},
	"registrar by handle of another": {"", "Domain: shop.example\nRegistrar: ONE-1\nCreated: 2020-01-01\n\nRegistrar: TWO-2\nOrganization: Two Ltd\n",
		`{"domain_name":"shop.example","registrar":"ONE-1","created":"2020-01-01T00:00:00Z","updated":null,"expires":null,"name_servers":[],"status":[]}`},
	"brackets": {"", "[ A database of JP ]\na. [Domain Name]      SHOP.EXAMPLE\np. [Name Server]      ns1.example.net\n[State]               Connected (2026/03/31)\n[Registered Date]\n[Last Update]    2025/05/29 10:45:59 (JST)\n",
		`{"domain_name":"shop.example","registrar":"","created":null,"updated":"2025-05-29T01:45:59Z","expires":"2026-03-31T00:00:00Z","name_servers":["ns1.example.net"],"status":["Connected"]}`},
	"dots": {"", "domain.............: shop.example\nstatus.............: Registered\ncreated............: 18.7.2012 04:04:23\n\nNameservers\n\nnserver............: ns1.example.net [OK]\n\nHolder\n\nname...............: Jane Doe\n\nRegistrar\n\nregistrar..........: One Oy\n",
		`{"domain_name":"shop.example","registrar":"One Oy","created":"2012-07-18T04:04:23Z","updated":null,"expires":null,"name_servers":["ns1.example.net"],"status":["Registered"]}`},
	"top level domain first": {"", "domain: EXAMPLE\nstatus: ACTIVE\ncreated: 1990-01-01\n\nDomain Name: shop.example\nCreation Date: 2020-01-01\n",
		`{"domain_name":"shop.example","registrar":"","created":"2020-01-01T00:00:00Z","updated":null,"expires":null,"name_servers":[],"status":[]}`},
	"without a name": {"www.shop.example", "Registrar: One\nCreated on: 2004-01-11\n",
		`{"domain_name":"www.shop.example","registrar":"One","created":"2004-01-11T00:00:00Z","updated":null,"expires":null,"name_servers":[],"status":[]}`},
	"rdap": {"shop.example", `{"objectClassName":"domain","ldhName":"SHOP.example.","status":["client transfer prohibited","active",7],"events":[{"eventAction":"registration","eventDate":"2004-08-30T22:55:00+00:00"},
	 {"eventAction":"last changed","eventDate":"x"},{"eventAction":"expiration","eventDate":"2030-01-01T00:00:00Z"}],"nameservers":[{"ldhName":"NS1.example.net"},{"ldhName":"-"}],
	 "entities":[{"roles":["registrant"],"vcardArray":["vcard",[["fn",{},"text","Jane Doe"]]]},{"roles":["registrar"],"vcardArray":["vcard",[["fn",{},"text","One Ltd"]]]}]}`,
		`{"domain_name":"shop.example","registrar":"One Ltd","created":"2004-08-30T22:55:00Z","updated":null,"expires":"2030-01-01T00:00:00Z","name_servers":["ns1.example.net"],"status":["clientTransferProhibited","active"]}`},
	"ripe": {"", "% Abuse contact for '192.0.2.0 - 192.0.2.255' is 'abuse@example.net'\n\ninetnum: 192.0.0.0 - 192.0.255.255\nnetname: WIDE\ncountry: DE\nsource: RIPE\n\n" +
		"inetnum: 192.0.2.0 - 192.0.2.255\nnetname: NARROW\ndescr: Jane Doe at home\norg: ORG-1\ncountry: nl # really\ncreated: 2008-08-14T14:54:30Z\nsource: RIPE # Filtered\n\n" +
		"organisation: ORG-1\norg-name: Example BV\n\nperson: Jane Doe\ne-mail: jane@example.net\n\nroute: 192.0.0.0/16\norigin: AS64496\n",
		`{"cidr":["192.0.2.0/24"],"name":"NARROW","org":"Example BV","country":"NL","registry":"ripencc","abuse":"abuse@example.net","asn":64496,"allocated":"2008-08-14T14:54:30Z"}`},
	"ripe person": {"", "inet6num: 2001:db8::/32\nnetname: HOME\ndescr: Jane Doe at home\ncountry: NL\nsource: RIPE\n",
		`{"cidr":["2001:db8::/32"],"name":"HOME","org":"","country":"NL","registry":"ripencc","abuse":"","asn":0,"allocated":null}`},
	"arin": {"", "NetRange: 198.51.100.0 - 198.51.100.255\nCIDR: 198.51.100.0/25, 198.51.100.128/25\nNetName: EX\nOriginAS: AS64496, AS64497\nOrganization: Example (North) Inc. (EXA-1)\nRegDate: 2007-03-13\n\n" +
		"OrgName: Example\nOrgId: EXA-1\nCountry: US\n\nOrgAbuseEmail: Abuse@Example.net\n",
		`{"cidr":["198.51.100.0/24"],"name":"EX","org":"Example (North) Inc.","country":"US","registry":"arin","abuse":"abuse@example.net","asn":64496,"allocated":"2007-03-13T00:00:00Z"}`},
	"lacnic": {"", "% whois.lacnic.net\n\ninetnum: 203.0.113/24\nowner: Ejemplo SA\nresponsible: Jane Doe\ncountry: CO\nabuse-c: JD1\ncreated: 20131029\n\nnic-hdl: JD1\nperson: Jane Doe\ne-mail: abuso@example.net\n",
		`{"cidr":["203.0.113.0/24"],"name":"Ejemplo SA","org":"Ejemplo SA","country":"CO","registry":"lacnic","abuse":"abuso@example.net","asn":0,"allocated":"2013-10-29T00:00:00Z"}`},
	"system": {"", "aut-num: AS64496\nas-name: EX-AS\norg: ORG-1\nsource: RIPE\n\norganisation: ORG-1\norg-name: Example BV\ncountry: NL\n",
		`{"cidr":[],"name":"EX-AS","org":"Example BV","country":"NL","registry":"ripencc","abuse":"","asn":64496,"allocated":null}`},
	"system by rdap": {"", `{"objectClassName":"autnum","handle":"AS64496","startAutnum":64496,"name":"EX-AS","port43":"whois.arin.net","entities":[{"roles":["registrant"],
	  "vcardArray":["vcard",[["kind",{},"text","org"],["fn",{},"text","Example"],["adr",{"label":"1 Road\nTown\nUnited States"},"text",["","","","","","",""]]]],
	  "entities":[{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","abuse@example.net"]]]}]}]}`,
		`{"cidr":[],"name":"EX-AS","org":"Example","country":"US","registry":"arin","abuse":"abuse@example.net","asn":64496,"allocated":null}`},
	"lacnic person": {"", "% whois.lacnic.net\n\ninetnum: 203.0.113/24\nowner: Jane Doe\nresponsible: Jane  DOE\ncountry: CO\ncreated: 20131029\n",
		`{"cidr":["203.0.113.0/24"],"name":"","org":"","country":"CO","registry":"lacnic","abuse":"","asn":0,"allocated":"2013-10-29T00:00:00Z"}`},
	"brazilian person": {"", "% whois.lacnic.net\n\ninetnum: 203.0.113/24\nowner: Jane Doe\nownerid: 123.456.789-09\nresponsible: Somebody Else\ncountry: BR\n",
		`{"cidr":["203.0.113.0/24"],"name":"","org":"","country":"BR","registry":"lacnic","abuse":"","asn":0,"allocated":null}`},
	"person as an organisation": {"", "inetnum: 192.0.2.0 - 192.0.2.255\nnetname: HOME\norg: ORG-1\nsource: RIPE\n\norganisation: ORG-1\norg-name: Jane Doe\ncountry: NL\n\nperson: Jane Doe\nnic-hdl: JD1\n",
		`{"cidr":["192.0.2.0/24"],"name":"HOME","org":"","country":"NL","registry":"ripencc","abuse":"","asn":0,"allocated":null}`},
	"person in a description": {"", "inetnum: 192.0.2.0 - 192.0.2.255\nnetname: HOME\ndescr: Jane Doe\ncountry: AU\nsource: APNIC\n\nperson: Jane Doe\nnic-hdl: JD1\n",
		`{"cidr":["192.0.2.0/24"],"name":"HOME","org":"","country":"AU","registry":"apnic","abuse":"","asn":0,"allocated":null}`},
	"person as an organisation by rdap": {"", `{"objectClassName":"ip network","startAddress":"192.0.2.0","endAddress":"192.0.2.255","name":"Jane Doe","port43":"whois.lacnic.net","entities":[
	  {"roles":["registrant"],"vcardArray":["vcard",[["kind",{},"text","org"],["fn",{},"text","Jane Doe"]]],"entities":[{"roles":["administrative"],"vcardArray":["vcard",[["kind",{},"text","individual"],["fn",{},"text","JANE DOE"],["org",{},"text","Jane Doe"]]]}]}]}`,
		`{"cidr":["192.0.2.0/24"],"name":"","org":"","country":"","registry":"lacnic","abuse":"","asn":0,"allocated":null}`},
	"handle as an organisation": {"", `{"objectClassName":"ip network","startAddress":"192.0.2.0","endAddress":"192.0.2.255","name":"X","country":"ZA","port43":"whois.afrinic.net","entities":[{"vcardArray":["vcard",[["kind",{},"text","org"],["fn",{},"text","ORG-EX1-AFRINIC"]]]}]}`,
		`{"cidr":["192.0.2.0/24"],"name":"X","org":"","country":"ZA","registry":"afrinic","abuse":"","asn":0,"allocated":null}`},
	"prefixes by rdap": {"", `{"objectClassName":"ip network","handle":"200.57.141.161","startAddress":"200.57.141.161","endAddress":"200.57.141.161","name":"X","port43":"whois.lacnic.net","cidr0_cidrs":[{"v4prefix":"200.57.128.0","length":19}],
	  "events":[{"eventAction":"registration","eventDate":"2000-12-04T00:00:00Z"}]}`,
		`{"cidr":["200.57.128.0/19"],"name":"X","org":"","country":"","registry":"lacnic","abuse":"","asn":0,"allocated":"2000-12-04T00:00:00Z"}`},
	"other prefixes by rdap": {"", `{"objectClassName":"ip network","startAddress":"192.0.2.0","endAddress":"192.0.2.127","cidr0_cidrs":[{"v4prefix":"10.0.0.0","length":8},{"v6prefix":7}]}`,
		`{"cidr":["192.0.2.0/25"],"name":"","org":"","country":"","registry":"","abuse":"","asn":0,"allocated":null}`},
	"person by rdap": {"", `{"startAddress":"192.0.2.1","endAddress":"192.0.2.6","port43":"whois.ripe.net","remarks":[{"description":["Jane Doe"]}],
	  "entities":[{"roles":["registrant"],"vcardArray":["vcard",[["kind",{},"text","individual"],["fn",{},"text","Jane Doe"]]]}]}`,
		`{"cidr":["192.0.2.1/32","192.0.2.2/31","192.0.2.4/31","192.0.2.6/32"],"name":"","org":"","country":"","registry":"ripencc","abuse":"","asn":0,"allocated":null}`},
}

func TestAnswers(t *testing.T) {
	for what, c := range answers {
		rec, err := Parse([]byte(c.answer), c.name)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var got string
		if rec.Network != nil {
			got = encode(t, rec.Network)
		} else {
			got = encode(t, rec.Domain)
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", what, got, c.want)
		}
		if strings.Contains(got, "Jane") {
			t.Errorf("%s: a person in %s", what, got)
		}
	}
}

func TestNoRecord(t *testing.T) {
	for answer, want := range map[string]error{
		"": ErrNoRecord, "hello": ErrNoRecord, "No match for SHOP.EXAMPLE": ErrUnregistered, "Domain: shop.example\nStatus: free\n": ErrUnregistered,
		"%% NOT FOUND": ErrUnregistered, "Query rate limit exceeded. Try again later.": ErrRefused, `{"errorCode":404}`: ErrUnregistered,
		`{"errorCode":429,"title":"slow down"}`: ErrRefused, `{"errorCode":500}`: ErrNoRecord, `{}`: ErrNoRecord, `{"objectClassName":"entity"}`: ErrNoRecord,
		"Domain Name: other.example\nRegistrar: One\n": ErrNoRecord, `{"objectClassName":"domain","ldhName":"example.com"}`: ErrNoRecord,
		"inetnum: 192.0.2.0/24\n": ErrNoRecord,
		// How registries say it, by what their answers to nobody's domains and to eager clients are known to be.
		"Error:\r\nThe WHOIS query quota for 192.0.2.1 has been exceeded\r\nand will be replenished in 50 seconds.\r\n": ErrRefused,
		"% Error: 55000000002 Connection refused; access control limit exceeded.":                                       ErrRefused, "%ERROR:201: access denied for 192.0.2.1\n": ErrRefused,
		"Requests of this client are not permitted. Please use https://www.nic.example/whois/ for queries.": ErrRefused, "% Permission denied.": ErrRefused,
		"Number of allowed queries exceeded.": ErrRefused, "BLACKLISTED: You have exceeded the query limit for your network": ErrRefused, "WHOIS LIMIT EXCEEDED - SEE WWW.EXAMPLE/WHOIS": ErrRefused,
		"You have been banned for abuse.": ErrRefused, "Server is busy now, please try again later.": ErrRefused, "request limit exceeded": ErrRefused,
		"Domain:\tshop.example\nStatus:\tAVAILABLE\n": ErrUnregistered, "%% No entries found for the selected source(s).": ErrUnregistered, "DOMAIN NOT FOUND": ErrUnregistered,
		"Object_Not_Found": ErrUnregistered, "No Found": ErrUnregistered, "The domain has not been registered.": ErrUnregistered, "No matching record.": ErrUnregistered,
		"shop.example: no existe.": ErrUnregistered, "El dominio no se encuentra registrado en NIC Ejemplo": ErrUnregistered, "shop.example is free": ErrUnregistered, `{"startAddress":"192.0.2.0","endAddress":"192.0.2.1"}`: ErrNoRecord,
	} {
		if rec, err := Parse([]byte(answer), "shop.example"); !errors.Is(err, want) {
			t.Errorf("%q: %+v, %v, want %v", answer, rec, err, want)
		}
	}
	for _, bad := range []string{`{"a":`, strings.Repeat("x", MaxAnswer+1)} {
		if _, err := Parse([]byte(bad), ""); err == nil || len(err.Error()) > 300 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// TestHuge: answers at the bound give bounded records.
func TestHuge(t *testing.T) {
	for _, part := range []string{
		"Name Server: ns%.example.net\n", "Domain Status: state%\n", "Domain Name: a%.example\nStatus: x\n", "Registrar: " + strings.Repeat("r", 9000) + "\n", "inetnum: 10.0.0.1 - 10.255.255.254\n\n",
		"Server Name: A\nRegistrar: b\n", "changed: 20200101\n", "x" + strings.Repeat(" ", 5000) + "\n", "Name Servers:\n",
	} {
		var b strings.Builder
		b.WriteString("Domain Name: shop.example\nRegistrar: One\n")
		for i := 0; b.Len()+len(part)+20 < MaxAnswer; i++ {
			b.WriteString(strings.ReplaceAll(part, "%", strings.Repeat("a", i%40)+string(rune('a'+i%26))))
		}
		rec, err := Parse([]byte(b.String()), "")
		if err != nil {
			t.Errorf("%.30q: %v", part, err)
			continue
		}
		checkBounds(t, rec)
	}
	deep := `{"objectClassName":"domain","ldhName":"a.example","entities":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}"
	if rec, err := Parse([]byte(deep), ""); err == nil {
		checkBounds(t, rec)
	}
}

func checkBounds(t *testing.T, rec *Record) {
	t.Helper()
	if (rec.Domain == nil) == (rec.Network == nil) {
		t.Fatalf("not one of the two: %+v", rec)
	}
	var lists [][]string
	if d := rec.Domain; d != nil {
		lists = [][]string{{d.Name, d.Registrar}, d.NameServers, d.Status}
		if d.Name == "" || d.NameServers == nil || d.Status == nil {
			t.Errorf("%+v", d)
		}
	} else {
		n := rec.Network
		lists = [][]string{{n.Name, n.Org, n.Country, n.Registry, n.Abuse}, n.CIDR}
		if n.CIDR == nil || len(n.CIDR) == 0 && n.ASN == 0 {
			t.Errorf("%+v", n)
		}
	}
	for _, l := range lists {
		if len(l) > maxList {
			t.Errorf("%d members", len(l))
		}
		for _, s := range l {
			if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsAny(s, "\n\r\x00\x1b") {
				t.Errorf("%q", s)
			}
		}
	}
	if b, err := json.Marshal(rec); err != nil || !json.Valid(b) {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, what := range sorted(answers) {
		f.Add([]byte(answers[what].answer), answers[what].name)
	}
	f.Fuzz(func(t *testing.T, answer []byte, name string) {
		if rec, err := Parse(answer, name); err == nil {
			checkBounds(t, rec)
		} else if rec != nil || err.Error() == "" {
			t.Errorf("%+v, %v", rec, err)
		}
	})
}
