/* Twins and identities as text, to the byte, and the same members as a query reads them. Lines of exports: hub_export.c. */
#include "hub_kit.h"

static void
assert_text(struct buf *json, const char *want)
{
	kit_quotes(json, '"', '\'');
	buf_putc(json, '\0');
	assert_string_equal(json->p, want);
	buf_fini(json);
}

static uint32_t
row_of(struct kit *k, const char *id)
{
	struct op op = kit_op(OP_ACK, id);
	uint32_t row = shard_find(k->sh, op.device, op.module);

	kit_read(k, id); /* its records are in memory */
	assert_int_not_equal(row, TABLE_NONE);
	return row;
}

static void
twin_is(struct kit *k, const char *id, const char *want)
{
	struct buf json = { 0 };
	struct hub_row hr;

	hub_row_open(&hr, k->sh, row_of(k, id));
	hub_query_ops.write_document(&hr, &json);
	assert_text(&json, want);
}

static void
identity_is(struct kit *k, const char *id, const char *want)
{
	struct buf json = { 0 };

	hub_row_write_identity(k->sh, row_of(k, id), &json);
	assert_text(&json, want);
}

/* The record of the device, with configurations that it bears. */
static void
bear(struct kit *k, const char *id, const char *configurations)
{
	struct op op = kit_op(OP_ACK, id);
	struct buf key = { 0 }, json = { 0 }, doc = { 0 }, record = { 0 };
	struct kit_row *r;
	struct wanted w;

	hub_key(&key, k->sh->index, op.device, op.module);
	r = rows_find(&k->store, RECORD_WANTED, buf_view(&key));
	assert_true(r != NULL && wanted_decode(buf_view(&r->value), &w));
	buf_cstr(&json, configurations);
	kit_quotes(&json, '\'', '"');
	assert_int_equal(doc_parse(k->parser, buf_view(&json), &doc, NULL, NULL), ERR_OK);
	wanted_encode(&record, w.counter, w.tags.bytes, w.desired.bytes, buf_view(&doc), STR_NONE);
	buf_fini(&r->value);
	r->value = record;
	buf_fini(&key);
	buf_fini(&json);
	buf_fini(&doc);
	kit_restart(k);
}

static void
twin__T01_texts(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "plain");
	twin_is(k, "plain",
	    "{'deviceId':'plain','etag':'AAAAAAAAAAE=','deviceEtag':'NjA4NzM5ODE4','status':'enab"
	    "led','statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'Disconnected','las"
	    "tActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'authenticationT"
	    "ype':'sas','x509Thumbprint':{'primaryThumbprint':null,'secondaryThumbprint':null},'m"
	    "odelId':'','version':2,'properties':{'desired':{'$metadata':{'$lastUpdated':'2024-01"
	    "-01T00:00:01.0000000Z'},'$version':1},'reported':{'$metadata':{'$lastUpdated':'2024-"
	    "01-01T00:00:01.0000000Z'},'$version':1}},'capabilities':{'iotEdge':false}}");
	kit_put(k, "e", NULL,
	    "{'status':'disabled','statusReason':'\xc3\xbc \\\\ \\u0001 \\u0022','capabilities':{"
	    "'iotEdge':true},'parentScopes':['ms://p'],'authentication':{'type':"
	    "'certificateAuthority'}}");
	kit_patch(k, "e", NULL,
	    "{'tags':{'a':{'b':1.0}},'properties':{'desired':{'c':[1,null,'x'],'d':{}}}}");
	twin_is(k, "e",
	    "{'deviceId':'e','etag':'AAAAAAAAAAE=','deviceEtag':'ODk2MDM1OTc3','status':'disabled"
	    "','statusReason':'ü \\\\ \\u0001 \\'','statusUpdateTime':'0001-01-01T00:00:00Z','con"
	    "nectionState':'Disconnected','lastActivityTime':'0001-01-01T00:00:00Z','cloudToDevic"
	    "eMessageCount':0,'authenticationType':'certificateAuthority','x509Thumbprint':{'prim"
	    "aryThumbprint':null,'secondaryThumbprint':null},'modelId':'','version':2,'properties"
	    "':{'desired':{'$metadata':{'$lastUpdated':'2024-01-01T00:00:03.0000000Z'},'$version'"
	    ":1},'reported':{'$metadata':{'$lastUpdated':'2024-01-01T00:00:03.0000000Z'},'$versio"
	    "n':1}},'capabilities':{'iotEdge':true},'deviceScope':'ms-azure-iot-edge://e-63839664"
	    "0030000000','parentScopes':['ms://p']}");
	kit_put(k, "leaf", NULL,
	    "{'deviceScope':'ms://p','authentication':{'x509Thumbprint':{'primaryThumbprint':"
	    "'0123456789abcdef0123456789abcdef01234567'}}}");
	twin_is(k, "leaf",
	    "{'deviceId':'leaf','etag':'AAAAAAAAAAE=','deviceEtag':'MjQ1MzEzMjY3','status':'enabl"
	    "ed','statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'Disconnected','last"
	    "ActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'authenticationTy"
	    "pe':'selfSigned','x509Thumbprint':{'primaryThumbprint':'0123456789abcdef0123456789ab"
	    "cdef01234567','secondaryThumbprint':null},'modelId':'','version':2,'properties':{'de"
	    "sired':{'$metadata':{'$lastUpdated':'2024-01-01T00:00:06.0000000Z'},'$version':1},'r"
	    "eported':{'$metadata':{'$lastUpdated':'2024-01-01T00:00:06.0000000Z'},'$version':1}}"
	    ",'capabilities':{'iotEdge':false},'deviceScope':'ms://p','parentScopes':['ms://p']}");
	kit_put(k, "plain/m$1", NULL, "{'managedBy':'\xf0\x9f\x98\x80'}");
	kit_patch(k, "plain/m$1", NULL, "{'tags':{'t':''}}");
	twin_is(k, "plain/m$1",
	    "{'deviceId':'plain','moduleId':'m$1','etag':'AAAAAAAAAAI=','deviceEtag':'MzAyMzY1MTM"
	    "x','status':'enabled','statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'D"
	    "isconnected','lastActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0"
	    ",'authenticationType':'sas','x509Thumbprint':{'primaryThumbprint':null,'secondaryThu"
	    "mbprint':null},'modelId':'','version':3,'tags':{'t':''},'properties':{'desired':{'$m"
	    "etadata':{'$lastUpdated':'2024-01-01T00:00:08.0000000Z'},'$version':1},'reported':{'"
	    "$metadata':{'$lastUpdated':'2024-01-01T00:00:08.0000000Z'},'$version':1}}}");
	op = kit_connect_op(k, "plain", 1, false);
	op.connect.has_model_id = true;
	op.connect.model_id = STR("dtmi:a;1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_report(
	    k, "plain", k->reply.session_epoch, "{'temperature':-21.5,'n':4503599627370495}");
	twin_is(k, "plain",
	    "{'deviceId':'plain','etag':'AAAAAAAAAAE=','deviceEtag':'NjA4NzM5ODE4','status':'enab"
	    "led','statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'Connected','lastAc"
	    "tivityTime':'2024-01-01T00:00:12.0000000Z','cloudToDeviceMessageCount':0,'authentica"
	    "tionType':'sas','x509Thumbprint':{'primaryThumbprint':null,'secondaryThumbprint':nul"
	    "l},'modelId':'dtmi:a;1','version':3,'properties':{'desired':{'$metadata':{'$lastUpda"
	    "ted':'2024-01-01T00:00:01.0000000Z'},'$version':1},'reported':{'temperature':-21.5,'"
	    "n':4503599627370495,'$metadata':{'$lastUpdated':'2024-01-01T00:00:12.0000000Z','temp"
	    "erature':{'$lastUpdated':'2024-01-01T00:00:12.0000000Z'},'n':{'$lastUpdated':'2024-0"
	    "1-01T00:00:12.0000000Z'}},'$version':2}},'capabilities':{'iotEdge':false}}");
	bear(k, "plain", "{'c1':{'status':'Applied'},'c2':{'status':'Targeted'}}");
	twin_is(k, "plain",
	    "{'deviceId':'plain','etag':'AAAAAAAAAAE=','deviceEtag':'NjA4NzM5ODE4','status':'enab"
	    "led','statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'Disconnected','las"
	    "tActivityTime':'2024-01-01T00:00:12.0000000Z','cloudToDeviceMessageCount':0,'authent"
	    "icationType':'sas','x509Thumbprint':{'primaryThumbprint':null,'secondaryThumbprint':"
	    "null},'modelId':'dtmi:a;1','version':3,'properties':{'desired':{'$metadata':{'$lastU"
	    "pdated':'2024-01-01T00:00:01.0000000Z'},'$version':1},'reported':{'temperature':-21."
	    "5,'n':4503599627370495,'$metadata':{'$lastUpdated':'2024-01-01T00:00:12.0000000Z','t"
	    "emperature':{'$lastUpdated':'2024-01-01T00:00:12.0000000Z'},'n':{'$lastUpdated':'202"
	    "4-01-01T00:00:12.0000000Z'}},'$version':2}},'configurations':{'c1':{'status':'Applie"
	    "d'},'c2':{'status':'Targeted'}},'capabilities':{'iotEdge':false}}");
}

static void
identity__R32_texts(void **state)
{
	struct kit *k = *state;

	kit_device(k, "plain");
	identity_is(k, "plain",
	    "{'deviceId':'plain','generationId':'638396640010000000','etag':'NjA4NzM5ODE4','conne"
	    "ctionState':'Disconnected','status':'enabled','statusReason':null,'connectionStateUp"
	    "datedTime':'0001-01-01T00:00:00Z','statusUpdatedTime':'0001-01-01T00:00:00Z','lastAc"
	    "tivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'authentication':{'"
	    "symmetricKey':{'primaryKey':'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=','secondar"
	    "yKey':'ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA='},'x509Thumbprint':{'primaryThum"
	    "bprint':null,'secondaryThumbprint':null},'type':'sas'},'capabilities':{'iotEdge':fal"
	    "se}}");
	kit_put(k, "e", NULL,
	    "{'status':'disabled','statusReason':'\\u0022','capabilities':{'iotEdge':true},"
	    "'parentScopes':['ms://p'],'authentication':{'type':'selfSigned','x509Thumbprint':{"
	    "'primaryThumbprint':'0123456789abcdef0123456789abcdef01234567'}}}");
	identity_is(k, "e",
	    "{'deviceId':'e','generationId':'638396640030000000','etag':'ODk2MDM1OTc3','connectio"
	    "nState':'Disconnected','status':'disabled','statusReason':'\\'','connectionStateUpda"
	    "tedTime':'0001-01-01T00:00:00Z','statusUpdatedTime':'0001-01-01T00:00:00Z','lastActi"
	    "vityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'authentication':{'sy"
	    "mmetricKey':{'primaryKey':null,'secondaryKey':null},'x509Thumbprint':{'primaryThumbp"
	    "rint':'0123456789abcdef0123456789abcdef01234567','secondaryThumbprint':null},'type':"
	    "'selfSigned'},'capabilities':{'iotEdge':true},'deviceScope':'ms-azure-iot-edge://e-6"
	    "38396640030000000','parentScopes':['ms://p']}");
	kit_put(k, "leaf", NULL,
	    "{'deviceScope':'ms://p','authentication':{'type':'certificateAuthority'}}");
	identity_is(k, "leaf",
	    "{'deviceId':'leaf','generationId':'638396640050000000','etag':'MjQ1MzEzMjY3','connec"
	    "tionState':'Disconnected','status':'enabled','statusReason':null,'connectionStateUpd"
	    "atedTime':'0001-01-01T00:00:00Z','statusUpdatedTime':'0001-01-01T00:00:00Z','lastAct"
	    "ivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'authentication':{'s"
	    "ymmetricKey':{'primaryKey':null,'secondaryKey':null},'x509Thumbprint':{'primaryThumb"
	    "print':null,'secondaryThumbprint':null},'type':'certificateAuthority'},'capabilities"
	    "':{'iotEdge':false},'deviceScope':'ms://p','parentScopes':['ms://p']}");
	kit_put(k, "plain/m$1", NULL, "{'managedBy':'x'}");
	identity_is(k, "plain/m$1",
	    "{'deviceId':'plain','moduleId':'m$1','generationId':'638396640070000000','etag':'MzA"
	    "yMzY1MTMx','connectionState':'Disconnected','connectionStateUpdatedTime':'0001-01-01"
	    "T00:00:00Z','lastActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,"
	    "'authentication':{'symmetricKey':{'primaryKey':'5mKnkIopkMmYyizu+qJJKWuBoMkjJN4R3T90"
	    "KMCQTPM=','secondaryKey':'NcELM5+5Jmu5GQkWMKdVLJ88/CN1isuz2EThfyOKZGo='},'x509Thumbp"
	    "rint':{'primaryThumbprint':null,'secondaryThumbprint':null},'type':'sas'},'managedBy"
	    "':'x'}");
	kit_put(k, "plain/m2", NULL, "{}");
	kit_connect(k, "plain", 1, true);
	identity_is(k, "plain",
	    "{'deviceId':'plain','generationId':'638396640010000000','etag':'NjA4NzM5ODE4','conne"
	    "ctionState':'Connected','status':'enabled','statusReason':null,'connectionStateUpdat"
	    "edTime':'2024-01-01T00:00:10.0000000Z','statusUpdatedTime':'0001-01-01T00:00:00Z','l"
	    "astActivityTime':'2024-01-01T00:00:10.0000000Z','cloudToDeviceMessageCount':0,'authe"
	    "ntication':{'symmetricKey':{'primaryKey':'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZW"
	    "Y=','secondaryKey':'ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA='},'x509Thumbprint':"
	    "{'primaryThumbprint':null,'secondaryThumbprint':null},'type':'sas'},'capabilities':{"
	    "'iotEdge':false}}");
	identity_is(k, "plain/m2",
	    "{'deviceId':'plain','moduleId':'m2','generationId':'638396640090000000','etag':'NjQz"
	    "MzY3ODEw','connectionState':'Disconnected','connectionStateUpdatedTime':'0001-01-01T"
	    "00:00:00Z','lastActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,'"
	    "authentication':{'symmetricKey':{'primaryKey':'2HTlldQ4tzP3XBQ4mtNLig1xDcZWuGTkQi6y0"
	    "c+QBCU=','secondaryKey':'auaLL7NA759ixOEUQ11vPoTvmpA33Wczx2+zh8I2bO0='},'x509Thumbpr"
	    "int':{'primaryThumbprint':null,'secondaryThumbprint':null},'type':'sas'},'managedBy'"
	    ":null}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(twin__T01_texts),
		kit_test(identity__R32_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
