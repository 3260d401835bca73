# `cpack` in the build folder makes twinhub_VERSION_ARCH.deb and twinhub-kafka_VERSION_ARCH.deb: docs/install.md.
# What stands at absolute places is for packages alone: `cmake --install` leaves it out.
set(package ${CMAKE_SOURCE_DIR}/packaging)
install(FILES ${package}/twinhub.service DESTINATION /lib/systemd/system COMPONENT hub EXCLUDE_FROM_ALL)
install(FILES ${package}/twinhub.conf DESTINATION /etc/twinhub PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ
	COMPONENT hub EXCLUDE_FROM_ALL)

# Debian wants its papers beside each package, and compressed.
find_program(GZIP gzip)
set(papers ${CMAKE_BINARY_DIR}/package)
add_custom_command(OUTPUT ${papers}/changelog.gz DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md
	COMMAND ${CMAKE_COMMAND} -E make_directory ${papers}
	COMMAND ${GZIP} -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md > ${papers}/changelog.gz VERBATIM)
set(made ${papers}/changelog.gz)
if(TARGET pages)
	add_custom_command(OUTPUT ${papers}/stamp DEPENDS ${CMAKE_BINARY_DIR}/man/stamp
		COMMAND ${CMAKE_COMMAND} -E rm -rf ${papers}/man
		COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_BINARY_DIR}/man ${papers}/man
		COMMAND ${CMAKE_COMMAND} -E rm -f ${papers}/man/stamp
		COMMAND ${GZIP} -9nr ${papers}/man
		COMMAND ${CMAKE_COMMAND} -E touch ${papers}/stamp VERBATIM)
	list(APPEND made ${papers}/stamp)
	install(DIRECTORY ${papers}/man/ DESTINATION share/man COMPONENT hub EXCLUDE_FROM_ALL)
endif()
add_custom_target(papers ALL DEPENDS ${made})
foreach(part hub kafka)
	set(name twinhub)
	if(part STREQUAL kafka)
		set(name twinhub-kafka)
	endif()
	install(FILES ${package}/copyright ${papers}/changelog.gz DESTINATION share/doc/${name}
		COMPONENT ${part} EXCLUDE_FROM_ALL)
endforeach()

set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON) # tests are no part of a package: scripts/package builds what is
set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "twinhub maintainers <maintainers@twinhub.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "self-hosted hub of device twins, for devices and services of Azure IoT")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL hub)
if(TARGET twinhub-kafka)
	list(APPEND CPACK_COMPONENTS_ALL kafka)
endif()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
	OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_HUB_PACKAGE_NAME twinhub)
set(CPACK_DEBIAN_HUB_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54), ca-certificates")
set(CPACK_DEBIAN_HUB_PACKAGE_SUGGESTS "twinhub-kafka")
set(CPACK_DEBIAN_HUB_PACKAGE_CONTROL_EXTRA
	"${package}/preinst;${package}/postinst;${package}/prerm;${package}/postrm;${package}/conffiles")
set(CPACK_COMPONENT_HUB_DESCRIPTION "One program that speaks the device twins, direct methods and messages\nof Azure IoT Hub to unmodified SDKs.")
set(CPACK_DEBIAN_KAFKA_PACKAGE_NAME twinhub-kafka)
set(CPACK_DEBIAN_KAFKA_PACKAGE_DEPENDS "twinhub (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_KAFKA_DESCRIPTION "The plug-in of twinhub by which sinks write to Apache Kafka.")
include(CPack)
