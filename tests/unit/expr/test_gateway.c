/* Functions that gateways need: encodings, hashes, URLs, cookies, tokens, addresses, regular expressions. */
#include "expr_unit.h"

#include "base/memory.h"

static void base64(void **state)
{
    (void)state;
    gives("base64.encode(b'hello')", "\"aGVsbG8=\"");
    gives("base64.encode('hello')", "\"aGVsbG8=\"");
    gives("base64.decode('aGVsbG8=')", "b\"hello\"");
    gives("base64.decode('aGVsbG8')", "b\"hello\"");
    gives("base64.encode(b'\\xfb\\xff') + base64url.encode(b'\\xfb\\xff')", "\"+/8=-_8\"");
    gives("base64url.decode('-_8')", "b\"\\xfb\\xff\"");
    gives("base64.encode(b'') + base64.encode(b'a') + base64.encode(b'ab') + base64.encode(b'abc')",
          "\"YQ==YWI=YWJj\"");
    fails("base64.decode('a')", "malformed base64");
    fails("base64.decode('aGVsbG8==')", "malformed base64");
    fails("base64.decode('aG!s')", "malformed base64");
    fails("base64.decode('-_8')", "malformed base64");
    fails("base64.decode('YR==')", "malformed base64"); /* stray bits */
    gives("hex.encode(b'\\x00\\xff') + string(hex.decode('6869'))", "\"00ffhi\"");
    fails("hex.decode('0')", "malformed hexadecimal");
    fails("hex.decode('0g')", "malformed hexadecimal");
}

static void hashes(void **state)
{
    (void)state;
    gives("hash.md5('abc')", "\"900150983cd24fb0d6963f7d28e17f72\"");
    gives("hash.sha1('abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\"");
    gives("hash.sha256('abc')", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
    is_true(
        "hash.sha256('abc') == hash.sha256(b'abc') && hash.sha384('').size() == 96 && hash.sha512('').size() == 128");
    /* RFC 4231, cases 2 and 6 */
    gives("hmac.sha256('Jefe', 'what do ya want for nothing?')",
          "\"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843\"");
    gives(
        "hmac.sha256(hex.decode(lists.range(131).map(i, 'aa').join()), b'Test Using Larger Than Block-Size Key - Hash Key First')",
        "\"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54\"");
    gives("hmac.sha512('Jefe', 'what do ya want for nothing?').substring(0, 16)", "\"164b7a7bfcf819e2\"");
    is_true("hmac.sha1('k', b'm').size() == 40 && hmac.sha384(b'k', 'm').size() == 96");
}

static void json(void **state)
{
    (void)state;
    gives("json.decode('{\"a\": [1, 2.5, null]}')", "{\"a\": [1, 2.5, null]}");
    gives("json.decode(b'[true]')[0]", "true");
    gives("json.encode({'a': [1, b'x', null]})", "\"{\\\"a\\\":[1,\\\"eA==\\\",null]}\"");
    is_true("json.decode(json.encode(vars)) == vars");
    fails("json.decode('[1')", "malformed JSON: 'neither");
}

static void urls(void **state)
{
    (void)state;
    gives("url.encode('a b/c?\\u00e9~-._')", "\"a%20b%2Fc%3F%C3%A9~-._\"");
    gives("url.decode('a%20b%2fc+d')", "\"a b/c+d\"");
    is_true("url.decode(url.encode('\\u00e9 %&=')) == '\\u00e9 %&='");
    fails("url.decode('%2')", "malformed URL encoding: '%2'");
    fails("url.decode('%zz')", "malformed URL encoding");
    fails("url.decode('%ff')", "not valid UTF-8");
    gives("url.query('?a=1&b=x+y%21&a=2&c&=d&&e=f=g')",
          "{\"a\": \"1\", \"b\": \"x y!\", \"c\": \"\", \"\": \"d\", \"e\": \"f=g\"}");
    gives("url.query('')", "{}");
    gives("url.query('a=%ff')", "{\"a\": \"\xef\xbf\xbd\"}");
    gives("cookie.parse('a=1; b=\"two\";c=x=y; a=3; bad; =x')",
          "{\"a\": \"1\", \"b\": \"two\", \"c\": \"x=y\"}");
}

static void tokens(void **state)
{
    (void)state;
    gives("jwt.decode('eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2ln')",
          "{\"header\": {\"alg\": \"HS256\"}, \"claims\": {\"sub\": \"joe\"}, \"signature\": \"c2ln\"}");
    gives("jwt.decode('Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.').claims.sub", "\"joe\"");
    fails("jwt.decode('')", "malformed token");
    fails("jwt.decode('a.b')", "malformed token");
    fails("jwt.decode('eyJ9.e30.x')", "malformed token");
    fails("jwt.decode('MQ.e30.x')", "malformed token");
    fails("jwt.decode('e30.e30.x.y')", "malformed token");
}

static void addresses(void **state)
{
    (void)state;
    gives("ip('192.168.0.1')", "ip(\"192.168.0.1\")");
    gives("string(ip('2001:DB8:0:0::1'))", "\"2001:db8::1\"");
    gives("[ip('10.0.0.1').family(), ip('::1').family()]", "[4, 6]");
    is_true("ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && !ip('1.1.1.1').isLoopback()");
    is_true("ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('::1').isUnspecified()");
    is_true("['10.1.1.1', '172.16.0.1', '172.31.0.1', '192.168.1.1', 'fd00::1'].all(a, ip(a).isPrivate())");
    is_false("['11.1.1.1', '172.32.0.1', '192.169.1.1', '2001:db8::1'].exists(a, ip(a).isPrivate())");
    is_true(
        "ip('169.254.1.1').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.9').isLinkLocalMulticast()");
    is_true(
        "ip('239.1.1.1').isMulticast() && ip('ff02::1').isMulticast() && ip('8.8.8.8').isGlobalUnicast()");
    is_true(
        "isIP('::1') && !isIP('1.2.3') && isCIDR('::/0') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33')");
    is_true("type(ip('::1')) == net.IP && type(cidr('::/0')) == net.CIDR");
    fails("ip('1.2.3.256')", "not an IP address: '1.2.3.256'");
    fails("cidr('10.0.0.0/x')", "not a network");
}

static void networks(void **state)
{
    (void)state;
    is_true(
        "cidr('10.0.0.0/8').containsIP(ip('10.255.255.255')) && cidr('10.0.0.0/8').containsIP('10.0.0.1')");
    is_false("cidr('10.0.0.0/8').containsIP('11.0.0.0') || cidr('10.0.0.0/8').containsIP('::1')");
    is_true(
        "cidr('192.168.1.0/25').containsIP('192.168.1.127') && !cidr('192.168.1.0/25').containsIP('192.168.1.128')");
    is_true(
        "cidr('0.0.0.0/0').containsIP('255.1.2.3') && cidr('2001:db8::/33').containsIP('2001:db8:7fff::1')");
    is_false("cidr('2001:db8::/33').containsIP('2001:db8:8000::1')");
    fails("cidr('10.0.0.0/8').containsIP('::ffff:10.1.1.1')", "not an IP address");
    fails("cidr('::ffff:10.0.0.0/104')", "not a network");
    is_true(
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))");
    gives("cidr('10.1.2.3/12').masked()", "cidr(\"10.0.0.0/12\")");
    gives("[cidr('10.1.2.3/12').prefixLength(), cidr('::/0').prefixLength()]", "[12, 0]");
    gives("cidr('10.1.2.3/12').ip()", "ip(\"10.1.2.3\")");
    fails("cidr('10.0.0.0/8').containsIP('x')", "not an IP address");
}

static void patterns(void **state)
{
    (void)state;
    is_true("'foobar'.matches('o+b') && matches('foobar', '^foo') && !'foobar'.matches('^bar')");
    is_true("request.path.matches('^/api/[a-z]+/[0-9]+$')");
    is_false("'foo\\n'.matches('foo$')"); /* $ is only the very end */
    is_true("'h\\u00e9'.matches('^h.$') && '\\u00e9'.matches('\\u00e9')");
    is_true("'abc'.matches(dynamic.size() > 0 ? 'b' : 'x')"); /* a pattern made at run time */
    fails("'a'.matches('(')", "malformed regular expression: '('");
    gives("regex.extract('v12/x', 'v([0-9]+)')", "optional.of(\"12\")");
    gives("regex.extract('v12/x', 'v[0-9]+')", "optional.of(\"v12\")");
    gives("regex.extract('x', 'y')", "optional.none()");
    gives("regex.extract('xz', 'x(y)?')", "optional.of(\"\")");
    fails("regex.extract('ab', '(a)(b)')", "more than one group");
    gives("regex.extractAll('a1b22', '[0-9]+')", "[\"1\", \"22\"]");
    gives("regex.extractAll('a1b22', '[a-z]([0-9]+)')", "[\"1\", \"22\"]");
    gives("regex.extractAll('\\u00e9a', '')", "[\"\", \"\", \"\"]");
    gives("regex.replace('a1b22', '([0-9]+)', '<\\\\1>')", "\"a<1>b<22>\"");
    gives("regex.replace('a1b22', '[0-9]+', '\\\\0\\\\0', 1)", "\"a11b22\"");
    gives("regex.replace('ab', '', '-')", "\"-a-b-\"");
    gives("regex.replace('ab', 'a', r'\\\\')", "\"\\\\b\"");
    fails("regex.replace('ab', 'a', r'\\1')", "malformed replacement");
    fails("regex.replace('ab', 'a', r'\\x')", "malformed replacement");
}

static void a_match_limit_is_a_failure(void **state)
{
    (void)state;
    fails("lists.range(60).map(i, 'a').join().matches('(a|aa|aaa)*b$|^(a*)*$c')", "match limit");
}

/* No start of these searches reaches a limit, but there are thousands of them: time for all of them together is limited too. */
static void slow_searches_end(void **state)
{
    (void)state;
    fails(
        "lists.range(60).map(i, lists.range(150).map(j, 'a').join() + 'c').join().matches('(?:[ab]c?)*(?:[ab]c?)*[xy]')",
        "match limit");
    fails("cel.bind(s, lists.range(60).map(j, 'a').join(),"
          " lists.range(2000).all(i, !s.matches('(?:[ab]c?)*(?:[ab]c?)*[xy]')))",
          "match limit");
    is_true("cel.bind(s, lists.range(2000).map(j, 'abcdefgh ').join(), (s + 'x@').matches('[a-z]+@$'))");
}

/* Windows of starts give what one search gives: at every place, with what looks behind, with characters of several bytes. */
static void long_subjects(void **state)
{
    (void)state;
    is_true(
        "lists.range(110).all(n, cel.bind(s, lists.range(n).map(j, 'é').join(),"
        " regex.extract(s + 'x1yé', '(?<=x)(.)y') == optional.of('1') && (s + 'b').matches('b$') && !s.matches('e')"
        " && regex.extractAll(s + 'zz', 'z').size() == 2 && (s + 'k').matches('^é*k') == true))");
    is_true(
        "lists.range(110).all(n, cel.bind(s, lists.range(n).map(j, '-').join(), !(s + 'b').matches('^b') == (n > 0)"
        " && (s + 'ab').matches('\\\\Bb') && regex.replace(s + 'q', '(?m)^-|q', '').size() == (n > 0 ? n - 1 : 0)))");
}

static void computed_patterns_take_no_heap(void **state)
{
    (void)state;
    struct arena arena, kept;
    struct expr_error error = {0};
    struct value value;
    arena_init(&kept, 0, 0);
    arena_init(&arena, 64 * 1024, 0);
    const struct expr *expr = expr_compile(&kept, TEXT("request.path.matches('^' + request.path + '$')"),
                                           &strict, EXPR_DYN, &error);
    struct expr_run run = run_in(&arena);
    assert_true(expr_eval(expr, &run, &value, &error) && value.boolean);
    arena_reset(&arena);
    uint64_t before = memory_calls();
    assert_true(expr_eval(expr, &run, &value, &error) && value.boolean);
    assert_int_equal(memory_calls(), before);
    arena_release(&arena);
    arena_release(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),
        cmocka_unit_test(hashes),
        cmocka_unit_test(json),
        cmocka_unit_test(urls),
        cmocka_unit_test(tokens),
        cmocka_unit_test(addresses),
        cmocka_unit_test(networks),
        cmocka_unit_test(patterns),
        cmocka_unit_test(a_match_limit_is_a_failure),
        cmocka_unit_test(slow_searches_end),
        cmocka_unit_test(long_subjects),
        cmocka_unit_test(computed_patterns_take_no_heap),
    };
    return RUN_TESTS(tests);
}
