/* twinhub: picks the subcommand. */
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>

static int
serve(int argc, char **argv)
{
	struct server_options o;
	struct buf help = { 0 };
	char why[1024];

	if (argc > 0 && strcmp(argv[0], "--help") == 0) {
		buf_cstr(&help, "usage: twinhub serve --data DIR [options]\n\n");
		options_help(&help);
		printf(STR_FMT, STR_ARG(buf_view(&help)));
		buf_fini(&help);
		return 0;
	}
	if (options_parse(argc, argv, &o, why, sizeof(why)) != ERR_OK) {
		fprintf(stderr, "twinhub: %s\n", why);
		return 2;
	}
	return server_run(&o);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return serve(argc - 2, argv + 2);
	fprintf(stderr, "usage: twinhub serve --data DIR [options]\n");
	return 2;
}
